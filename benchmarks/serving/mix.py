"""Requests of many kinds, each with what its answer must be."""

import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.serving.offline import difference
from benchmarks.serving.wire import BOUNDARY, Request, as_json, in_base64, multipart

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"search": "beam", "n": 3},
    {"search": "greedy"},
    {"search": "beam", "beam_size": 2},
    {"search": "sample", "seed": 7, "temperature": 0.8},
    {"min_length": 9},
    {"max_length": 6},
    {"prefix": "a"},
    {"exclude": ["man", "woman"]},
    {"no_repeat": 2, "length_penalty": 0.0},
)
"""The first two are those of a plain request and of ``/model/predict``."""
PLAIN, PREDICT = 0, 1

Check = Callable[[int, str, bytes], str]
"""Status, content type and body of an answer to what is wrong with it, or empty."""


class Ask(NamedTuple):
    """A request.

    Attributes:
        kind: A word for the report.
        method: The method.
        path: The path.
        request: Body and type; None for none.
        check: Checks the answer.
        images: Captions that the answer holds.
        headers: Further headers.
    """

    kind: str
    method: str
    path: str
    request: Request | None
    check: Check
    images: int = 0
    headers: tuple[tuple[str, str], ...] = ()


class Mix:
    """Draws requests.

    Args:
        images: The image files.
        expected: For each image the answer to each of ``OPTIONS``, see ``offline``.
        seed: Seed.
    """

    def __init__(self, images: Sequence[bytes], expected: Sequence[Sequence[dict[str, Any]]], seed: int) -> None:
        self.images, self.expected, self.rng = images, expected, random.Random(seed)
        self.bad = _bad(images[0])

    def good(self) -> Ask:
        """Returns a request that must succeed."""
        draw = self.rng.random()
        if draw < 0.1:
            return self._predict()
        if draw < 0.16:
            path = self.rng.choice(["/v1/models", "/metrics", "/healthz", "/readyz", "/", "/openapi.json"])
            return Ask("other", "GET", path, None, lambda status, *_: "" if status == 200 else f"status {status}")
        several = self.rng.choice([1, 1, 1, 1, 2, 3, 4])
        return self.captions(several, self.rng.randrange(len(OPTIONS)), self.rng.random() < 0.3)

    def any(self) -> Ask:
        """Returns a request, good or bad."""
        return self.rng.choice(self.bad) if self.rng.random() < 0.2 else self.good()

    def captions(self, several: int, option: int, attention: bool) -> Ask:
        """Returns a request for captions, as a form or as JSON."""
        chosen = [self.rng.randrange(len(self.images)) for _ in range(several)]
        options = {**OPTIONS[option], **({"attention": True} if attention else {})}

        def check(status: int, kind: str, body: bytes) -> str:
            if status != 200:
                return f"status {status}: {body[:200]!r}"
            results = json.loads(body)["results"]
            if [one["index"] for one in results] != list(range(several)):
                return "other results than images"
            pairs = zip(results, chosen, strict=True)
            found = [difference(one, self.expected[image][option], attention) for one, image in pairs]
            return next(filter(None, found), "")

        files = [self.images[image] for image in chosen]
        if self.rng.random() < 0.3:
            request = as_json({"images": [in_base64(file) for file in files], **options})
            return Ask("JSON", "POST", "/v1/captions", request, check, several)
        return Ask("form", "POST", "/v1/captions", _form(files, options), check, several)

    def _predict(self) -> Ask:
        image = self.rng.randrange(len(self.images))
        expected = self.expected[image][PREDICT]
        wanted = [expected["caption"], *expected["alternatives"]][:3]

        def check(status: int, kind: str, body: bytes) -> str:
            if status != 200:
                return f"status {status}: {body[:200]!r}"
            found = [one["caption"] for one in json.loads(body)["predictions"]]
            return "" if found == wanted else f"{found} instead of {wanted}"

        return Ask("predict", "POST", "/model/predict", _form([self.images[image]], {}), check, 1)


def _form(files: Sequence[bytes], options: dict[str, Any]) -> Request:
    """Returns a form; a list becomes several fields of one name."""
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{_text(one)}\r\n'.encode()
        for name, value in options.items()
        for one in (value if isinstance(value, list) else [value])
    )
    form = multipart([("image", f"{number}.jpg", file) for number, file in enumerate(files)])
    return Request(parts + form.body, form.content_type)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(kind: str, *statuses: int) -> Check:
    def check(status: int, content_type: str, body: bytes) -> str:
        if status not in statuses:
            return f"{kind}: status {status} instead of {statuses}: {body[:200]!r}"
        if not content_type.startswith("application/problem+json"):
            return f"{kind}: the error has the type {content_type}"
        return "" if json.loads(body)["status"] == status else f"{kind}: another status in the body"

    return check


def _bad(image: bytes) -> list[Ask]:
    """Returns requests that must be refused."""

    def post(kind: str, request: Request, *statuses: int, path: str = "/v1/captions") -> Ask:
        return Ask("bad", "POST", path, request, _refused(kind, *statuses))

    def get(path: str, status: int) -> Ask:
        return Ask("bad", "GET", path, None, _refused(path, status))

    return [
        post("cut off", _form([image[:300]], {}), 422),
        post("no image file", _form([b"GET / HTTP/1.1\r\n\r\n" * 50], {}), 422),
        post("empty file", _form([b""], {}), 422),
        post("one of two", _form([image, b"\x89PNG\r\n\x1a\n" + bytes(400)], {}), 422),
        post("too many pixels", _form([_huge_png()], {}), 422),
        post("no image", multipart([], {"search": "beam"}), 422),
        post("unknown field", _form([image], {"colour": "red"}), 422),
        post("out of bounds", _form([image], {"beam_size": 99}), 422),
        post("two searches", _form([image], {"search": ["beam", "greedy"]}), 422),
        post("unknown word", _form([image], {"prefix": "zxqvjk"}), 422),
        post("unknown model", _form([image], {"model": "nobody"}), 404),
        post("too many", _form([image[:50]] * 40, {}), 413, 422),
        post("no JSON", Request(b'{"images": [', "application/json"), 400),
        post("no base64", as_json({"images": ["***"]}), 422),
        post("a path", as_json({"images": ["/etc/passwd"]}), 422),
        post("a number", as_json({"images": 3}), 422),
        post("another type", Request(image, "image/jpeg"), 415),
        post("no boundary", Request(image, "multipart/form-data"), 400),
        post("two images", _form([image, image], {}), 400, path="/model/predict"),
        get("/v1/captions", 405),
        get("/no/such/path", 404),
        Ask("bad", "GET", "/v1/models", None, _refused("host", 403), headers=(("Host", "evil.example"),)),
    ]


def _huge_png() -> bytes:
    """Returns a small file that says that it has 30,000 × 30,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(9000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
