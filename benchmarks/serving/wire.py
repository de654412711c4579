"""How each server is asked for the caption of an image, and how its answer reads. Only the standard library."""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

BOUNDARY = "photograph-3f1c9a7e"


class Answer(NamedTuple):
    """What every server answers.

    Attributes:
        caption: The caption.
        log_probability: Its log probability.
        probabilities: The probability of each word.
    """

    caption: str
    log_probability: float
    probabilities: tuple[float, ...]


class Request(NamedTuple):
    """The body of a request and its type."""

    body: bytes
    content_type: str


class Target(NamedTuple):
    """A server's route.

    Attributes:
        path: The path.
        request: Makes the request for an image file.
        answer: Reads the answer.
    """

    path: str
    request: Callable[[bytes], Request]
    answer: Callable[[Any], Answer]


def multipart(files: list[tuple[str, str, bytes]], fields: dict[str, str] | None = None) -> Request:
    """Returns a form.

    Args:
        files: Field, file name and content of each file.
        fields: The other fields.
    """
    parts = []
    for name, text in (fields or {}).items():
        parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode())
    for field, name, content in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + content + b"\r\n")
    return Request(b"".join(parts) + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}")


def as_json(content: Any) -> Request:
    """Returns a JSON body."""
    return Request(json.dumps(content).encode(), "application/json")


def in_base64(content: bytes) -> str:
    """Returns a file as text."""
    return base64.b64encode(content).decode()


def own(result: dict[str, Any]) -> Answer:
    """Reads one result of ``POST /v1/captions``."""
    chances = tuple(word["probability"] for word in result["words"])
    return Answer(result["caption"], result["log_probability"], chances)


def flat(content: dict[str, Any]) -> Answer:
    """Reads the answer of one of the ``apps``."""
    return Answer(content["caption"], content["log_probability"], tuple(content["probabilities"]))


TARGETS = {
    "capsmith": Target(
        "/v1/captions", lambda image: multipart([("image", "photo.jpg", image)]), lambda c: own(c["results"][0])
    ),
    "fastapi": Target("/caption", lambda image: multipart([("image", "photo.jpg", image)]), flat),
    "litserve": Target("/predict", lambda image: as_json({"image": in_base64(image)}), flat),
    "bentoml": Target("/caption", lambda image: multipart([("images", "photo.jpg", image)]), lambda c: flat(c[0])),
}
"""The servers that are compared."""


def differs(found: Answer | None, expected: Answer, tolerance: float = 1e-3) -> bool:
    """Returns whether an answer is another caption, or has another probability."""
    if found is None or found.caption != expected.caption:
        return True
    pairs = zip(found.probabilities, expected.probabilities, strict=False)
    return (
        len(found.probabilities) != len(expected.probabilities)
        or abs(found.log_probability - expected.log_probability) > tolerance
        or any(abs(one - other) > tolerance for one, other in pairs)
    )
