"""JSON bodies: depth, size, numbers, keys, encodings, and images that are addresses."""

import base64
import json
import socket
import time
from typing import Any

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.support.image_bytes import encoded

SMALL = base64.b64encode(encoded()).decode()


def _with(text: str) -> bytes:
    """Returns a JSON body of one image and further members, as text."""
    return f'{{"images": ["{SMALL}"], {text}}}'.encode("utf-8", "surrogatepass")


def _all(server: Server, *documents: Any) -> Played:
    return [answer for document in documents if (answer := server.json(document)) is not None]


@attack("lists in lists, 100,000 levels deep", 400)
def _(server: Server) -> Played:
    return server.json(b"[" * 100_000 + b"]" * 100_000)


@attack("objects in objects, 3 million levels deep", 400)
def _(server: Server) -> Played:
    return server.json(b'{"a":' * 1_500_000)


@attack("depth hidden behind texts", 400, 422)
def _(server: Server) -> Played:
    return server.json(b'{"a\\"]": ' + b'["\\\\", ' * 50_000 + b"1" + b"]" * 50_000 + b"}")


@attack("numbers that are none: NaN, Infinity, 1e999", 400, 422)
def _(server: Server) -> Played:
    values = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "0x10", "1_000", "٣", "01", "+1", ".5")
    return _all(server, *[_with(f'"temperature": {value}, "search": "sample"') for value in values])


@attack("an integer of a million digits", 400, 422)
def _(server: Server) -> Played:
    return server.json(_with('"n": ' + "9" * 1_000_000))


@attack("numbers out of bounds", 422)
def _(server: Server) -> Played:
    values: list[dict[str, Any]] = [
        {"beam_size": 10**9},
        {"beam_size": 0},
        {"beam_size": -1},
        {"beam_size": 2.5},
        {"n": 11},
        {"n": True},
        {"n": "3"},
        {"max_length": 10**6},
        {"min_length": 61},
        {"no_repeat": -1},
        {"length_penalty": 1e300},
        {"search": "sample", "temperature": 0},
        {"search": "sample", "temperature": 1e-300},
        {"search": "sample", "top_k": 0},
        {"search": "sample", "top_p": 0},
        {"search": "sample", "top_p": 1.1},
        {"search": "sample", "seed": 2**32},
        {"search": "sample", "seed": -1},
        {"min_length": 30, "max_length": 5},
    ]
    return [answer for fields in values if (answer := server.options(**fields)) is not None]


@attack("options of other types", 422)
def _(server: Server) -> Played:
    values: list[dict[str, Any]] = [
        {"attention": "yes"},
        {"attention": 1},
        {"search": ["beam"]},
        {"search": "BEAM"},
        {"prefix": {"a": 1}},
        {"prefix": ["a"]},
        {"include": "dog"},
        {"include": {"0": "dog"}},
        {"exclude": [1]},
        {"exclude": [["a"]]},
        {"model": 1},
        {"model": ["starter"]},
        {"model": ""},
    ]
    return [answer for fields in values if (answer := server.options(**fields)) is not None]


@attack("texts and lists out of bounds", 422)
def _(server: Server) -> Played:
    values: list[dict[str, Any]] = [
        {"prefix": "a " * 200},
        {"prefix": "a" * 201},
        {"prefix": " ".join("ab" for _ in range(66))},
        {"include": ["dog"] * 21},
        {"include": ["d" * 101]},
        {"include": [""]},
        {"include": ["|"]},
        {"include": ["||||dog||||"] * 20},
        {"exclude": ["a"] * 1000},
        {"model": "m" * 65},
    ]
    return [answer for fields in values if (answer := server.options(**fields)) is not None]


@attack("the dearest search that is allowed", 200, 422, slow=True)
def _(server: Server) -> Played:
    words = [f"{a}|{b}" for a in ("dog", "man", "red", "water") for b in ("cat", "girl", "blue", "grass", "snow")]
    dear = {"search": "beam", "beam_size": 10, "n": 10, "min_length": 60, "max_length": 60, "no_repeat": 3}
    few = server.options(**dear, include=words[:4], exclude=words[5:])
    many = server.options(**dear, include=words, attention=True)
    return [answer for answer in (few, many) if answer is not None]


@attack("words of strange letters", 200, 422)
def _(server: Server) -> Played:
    texts = (
        "\u202e",
        "\0",
        "a\0b",
        "\ufeff",
        "Z\u0351\u036b" * 30,
        "ﷺ" * 60,
        "İ" * 99,
        "\U0001f468\u200d\U0001f469",
        "ß" * 99,
    )
    answers = [server.options(prefix=text) for text in texts] + [server.options(include=[text]) for text in texts]
    return [answer for answer in answers if answer is not None]


@attack("repeated keys", 400)
def _(server: Server) -> Played:
    return _all(server, _with('"n": 1, "n": 2'), _with(f'"images": ["{SMALL}"]'), b'{"a": {"b": 1, "b": 2}}')


@attack("keys called __proto__, constructor, __class__", 422)
def _(server: Server) -> Played:
    names = ("__proto__", "constructor", "prototype", "__class__", "model_config", "", "images ", "IMAGES")
    return [answer for name in names if (answer := server.options(**{name: {"polluted": True}})) is not None]


@attack("300,000 keys", 400, 413, 422)
def _(server: Server) -> Played:
    return server.json(_with(", ".join(f'"k{n}": 1' for n in range(300_000))))


@attack("keys whose hashes collide as integers", 400, 413, 422)
def _(server: Server) -> Played:
    return server.json(_with('"n": [' + ", ".join(str(n * (2**61 - 1)) for n in range(3)) + "]"))


@attack("lone surrogates", 400, 422)
def _(server: Server) -> Played:
    return _all(
        server,
        _with('"prefix": "\\ud800"'),
        _with('"include": ["\\udfff"]'),
        _with('"\\ud800": 1'),
        _with('"a": "\ud800"'),
    )


@attack("JSON in other encodings", 400, 415)
def _(server: Server) -> Played:
    document = json.dumps({"images": [SMALL]})
    answers = _all(server, document.encode("utf-16"), document.encode("utf-32"), b"\xff" + document.encode())
    stated = server.send(document.encode("utf-7"), "application/json; charset=utf-7")
    return [*answers, *([stated] if stated else [])]  # type: ignore[misc]


@attack("no JSON at all", 400)
def _(server: Server) -> Played:
    return _all(server, b"", b" ", b"{", b"{'images': []}", b"//", b"{} {}", b"\0", b'{"images": [}', b"<xml/>")


@attack("JSON that is no object of images", 422)
def _(server: Server) -> Played:
    return _all(server, [], None, 1, "text", {}, {"images": []}, {"images": {}}, {"images": SMALL}, {"image": [SMALL]})


@attack("images that are no base64", 422)
def _(server: Server) -> Played:
    values = (
        "",
        "====",
        "%%%",
        SMALL[:-3],
        SMALL + "!",
        " " + SMALL,
        "\n".join(SMALL),
        "-_" + SMALL,
        "é",
        "A" * 99_999,
    )
    return _all(server, *[{"images": [value]} for value in values], {"images": [None, 1, [], {}]})


@attack("images that are addresses: nothing is fetched, nothing is read", 422)
def _(server: Server) -> Played:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.3)
        port = trap.getsockname()[1]
        addresses = (
            f"http://127.0.0.1:{port}/a.jpg",
            f"//127.0.0.1:{port}/a.jpg",
            f"ftp://127.0.0.1:{port}/a.jpg",
            f"\\\\127.0.0.1@{port}\\a.jpg",
            "file:///etc/passwd",
            "/etc/passwd",
            "../../../../etc/passwd",
            "data:text/html;base64,PHNjcmlwdD4=",
            "data:image/svg+xml;base64,PHN2Zz4=",
            "data:image/svg+xml,<svg onload=alert(1)>",
            "data:image/jpeg;base64,file:///etc/passwd",
            "data:" + ";" * 5000 + ",",
            "javascript:alert(1)",
        )
        answers = [server.json({"images": [address]}) for address in addresses]
        answers += [server.upload(address.encode()) for address in addresses]
        try:
            trap.accept()
        except TimeoutError:
            return [answer for answer in answers if answer is not None]
        raise Breach("the server opened a connection")


@attack("100,000 empty images", 400, 422, 413)
def _(server: Server) -> Played:
    return server.json({"images": [""] * 100_000})


@attack("13 MB of what takes a parser long", 400, 422)
def _(server: Server) -> Played:
    """Each takes a second or more in a parser that nothing interrupts."""
    bodies = (
        b'{"images": [' + b'""' * 6_000_000,
        _with('"prefix": "' + "\\ud83d\\ude00" * 1_100_000 + '"'),
        b'{"images": [' + (b"[" * 100 + b"]" * 100 + b",") * 64_000 + b"0]}",
        b'{"a": ' * 2_000_000,
        b'{"images": [' + b"1," * 6_000_000 + b"1]}",
    )
    answers = []
    for body in bodies:
        start = time.monotonic()
        answers.append(server.json(body))
        if time.monotonic() - start > 4:
            raise Breach(f"it takes {time.monotonic() - start:.1f} s")
    return [answer for answer in answers if answer is not None]


@attack("a million words and a million lists of words", 400, 422)
def _(server: Server) -> Played:
    return _all(
        server,
        _with('"include": [' + ", ".join(['"a"'] * 1_000_000) + "]"),
        _with('"include": [' + ", ".join(["1"] * 1_000_000) + "]"),
        _with('"exclude": [' + ", ".join(["[]"] * 1_000_000) + "]"),
        _with('"prefix": "' + "a" * 5_000_000 + '"'),
        _with('"search": "' + "a" * 5_000_000 + '"'),
        _with('"' + "k" * 5_000_000 + '": 1'),
    )


@attack("a bomb in base64", 422)
def _(server: Server) -> Played:
    from tests.mistakes.broken_images import bomb

    return server.json({"images": [base64.b64encode(bomb()).decode()] * 16})


@attack("JSON for IBM MAX", 400, 415)
def _(server: Server) -> Played:
    return server.json({"images": [SMALL]}, "/model/predict")


@attack("two images and options for IBM MAX", 400)
def _(server: Server) -> Played:
    from tests.attacks.forms import FORM, IMAGE
    from tests.attacks.wire import disposition, form

    two = form([(IMAGE, server.photo), (IMAGE, server.photo)])
    path = form([(IMAGE, server.photo), (disposition("url"), b"file:///etc/passwd")])
    return [a for body in (two, path) if (a := server.send(body, FORM, "/model/predict")) is not None]
