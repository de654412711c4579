"""Multipart forms: missing, doubled, endless and mislabelled parts, and file names."""

import json

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.attacks.wire import Answer, disposition, form

FORM = "multipart/form-data; boundary=x"
IMAGE = disposition("image", "a.jpg")


def _shown_name(answer: Answer | None) -> str:
    assert answer is not None
    if answer.status != 200:
        return ""
    return str(json.loads(answer.body)["results"][0]["image"])


def _require_harmless_name(answer: Answer | None) -> Answer | None:
    """Raises Breach if the answer shows a path or control characters, or has a header that the name injected."""
    name = _shown_name(answer)
    if any(character in name for character in '/\0\r\n\x1b"\u202e'):
        raise Breach(f"the name {name!r} is shown")
    if answer and answer.header("x-injected"):
        raise Breach("a header was injected")
    return answer


@attack("no boundary", 400)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)]), "multipart/form-data")


@attack("an empty boundary", 400)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)], ""), 'multipart/form-data; boundary=""')


@attack("a boundary of 8,000 characters", 400, 200)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)], "b" * 8000), f"multipart/form-data; boundary={'b' * 8000}")


@attack("a boundary with control characters", 400, 415)
def _(server: Server) -> Played:
    return server.send(b"--\x01\r\n", "multipart/form-data; boundary=\x01\x7f")


@attack("another boundary than stated", 400)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)], "y"), FORM)


@attack("two boundaries", 400, 200)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)]) + form([(IMAGE, server.photo)], "y")
    return server.send(body, "multipart/form-data; boundary=y; boundary=x")


@attack("no last boundary", 400)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)])[:-6], FORM)


@attack("nothing but the last boundary", 400, 422)
def _(server: Server) -> Played:
    return server.send(b"--x--\r\n", FORM)


@attack("an empty body", 400, 411)
def _(server: Server) -> Played:
    return server.send(b"", FORM)


@attack("1 MB before the first boundary", 400, 200)
def _(server: Server) -> Played:
    return server.send(b"p" * 1_000_000 + b"\r\n" + form([(IMAGE, server.photo)]), FORM)


@attack("5 MB after the last boundary", 400, 200)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)]) + b"e" * 5_000_000, FORM)


@attack("5 MB of line breaks after the last boundary", 400, 200)
def _(server: Server) -> Played:
    return server.send(form([(IMAGE, server.photo)]) + b"\r\n" * 2_500_000, FORM)


@attack("an image that is nearly all boundaries", 422, 400)
def _(server: Server) -> Played:
    return server.parts((IMAGE, b"\r\n--" * 1_500_000))


@attack("no image", 422)
def _(server: Server) -> Played:
    return server.parts((disposition("search"), b"beam"))


@attack("an empty part", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, b""))


@attack("17 images", 422)
def _(server: Server) -> Played:
    return server.upload(*[server.photo] * 17)


@attack("100 fields", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, server.photo), *[(disposition(f"field{n}"), b"1") for n in range(100)])


@attack("10,000 parts", 422, 413)
def _(server: Server) -> Played:
    return server.parts(*[(disposition("include"), b"dog")] * 10_000)


@attack("the same field twice", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, server.photo), (disposition("n"), b"2"), (disposition("n"), b"3"))


@attack("a part without a name", 400, 422)
def _(server: Server) -> Played:
    return server.parts(("Content-Disposition: form-data", server.photo))


@attack("a part without headers", 400, 422)
def _(server: Server) -> Played:
    return server.send(b"--x\r\n\r\n" + server.photo + b"\r\n--x--\r\n", FORM)


@attack("a part with two dispositions", 400, 422, 200)
def _(server: Server) -> Played:
    return server.parts((f"{disposition('model')}\r\n{IMAGE}", server.photo))


@attack("a part with 1,000 headers", 400)
def _(server: Server) -> Played:
    return server.parts((IMAGE + "".join(f"\r\nX-{n}: 1" for n in range(1000)), server.photo))


@attack("a part with a header of 1 MB", 400)
def _(server: Server) -> Played:
    return server.parts((IMAGE + "\r\nX-Long: " + "x" * 1_000_000, server.photo))


@attack("a part whose headers never end", 400)
def _(server: Server) -> Played:
    return server.send(b"--x\r\nContent-Disposition: form-data; name=image" + b";a=b" * 500_000, FORM)


@attack("a form in a form", 400, 422)
def _(server: Server) -> Played:
    inner = form([(IMAGE, server.photo)], "y")
    return server.parts((IMAGE + "\r\nContent-Type: multipart/mixed; boundary=y", inner))


@attack("a part that says it is base64", 422, 200)
def _(server: Server) -> Played:
    return server.parts((IMAGE + "\r\nContent-Transfer-Encoding: base64", b"R0lGODlhAQABAAAAACw="))


@attack("a part of 500 kB in a text field", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, server.photo), (disposition("prefix"), b"a" * 500_000))


@attack("a text field that is not UTF-8", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, server.photo), (disposition("prefix"), b"\xff\xfe\x80"))


@attack("options as files", 422)
def _(server: Server) -> Played:
    return server.parts((IMAGE, server.photo), (disposition("model", "starter"), b"starter"))


@attack("files from the machine by exclude_file, rerank, image_path, path, url", 422)
def _(server: Server) -> Played:
    names = ("exclude_file", "rerank", "image_path", "path", "url", "file")
    return [a for name in names if (a := server.upload(server.photo, **{name: "/etc/passwd"})) is not None]


@attack("a model by its path", 404, 422)
def _(server: Server) -> Played:
    names = ("../../etc", "/etc/passwd", "..", "starter/../starter", "http://127.0.0.1/", "starter\0")
    return [a for name in names if (a := server.upload(server.photo, model=name)) is not None]


@attack("fields called __proto__, constructor and the like", 422)
def _(server: Server) -> Played:
    names = (
        "__proto__",
        "constructor",
        "prototype",
        "__class__",
        "model_config",
        "search_settings",
        "self",
        "images[]",
    )
    return [a for name in names if (a := server.upload(server.photo, **{name: "1"})) is not None]


@attack("names of fields with line breaks, quotes and NUL", 400, 422)
def _(server: Server) -> Played:
    names = ("a\r\nX-Injected: 1", 'a"b', "a\0b", "a" * 5000, "é" * 90, "\x1b[31m")
    answers = [server.parts((IMAGE, server.photo), (disposition(name), b"1")) for name in names]
    return [_require_harmless_name(a) for a in answers if a is not None]  # type: ignore[misc]


@attack("file names that are paths", 200)
def _(server: Server) -> Played:
    names = ("../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "C:\\boot.ini", "~/.ssh/id_rsa", "..")
    return [a for name in names if (a := _require_harmless_name(server.upload(server.photo, name=name))) is not None]


@attack("file names with control characters", 200, 400)
def _(server: Server) -> Played:
    names = ("a\0.jpg", "a\x1b[2J.jpg", "a%0d%0aX-Injected:%201.jpg", "\u202egpj.exe", "\x7f\x85", "a\tb")
    return [a for name in names if (a := _require_harmless_name(server.upload(server.photo, name=name))) is not None]


@attack("a file name that injects a header", 200, 400, 422)
def _(server: Server) -> Played:
    answer = server.upload(server.photo, name="a.jpg\r\nX-Injected: injected\r\n\r\ninjected")
    return _require_harmless_name(answer)


@attack("a file name of 1 MB", 400)
def _(server: Server) -> Played:
    return server.upload(server.photo, name="n" * 1_000_000)


@attack("a file name in other encodings", 200, 400)
def _(server: Server) -> Played:
    answers = [server.upload(server.photo, name=name) for name in ("写真.jpg", "صورة.png", "🐶.gif", "e\u0301.jpg")]
    starred = "Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''%2e%2e%2fetc%2fpasswd%00"
    answers.append(server.parts((starred, server.photo)))
    return [_require_harmless_name(a) for a in answers if a is not None]  # type: ignore[misc]


@attack("HTML in a file name", 200)
def _(server: Server) -> Played:
    answer = server.upload(server.photo, name="<img src=x onerror=alert(1)>.jpg")
    if answer and answer.header("content-type") != "application/json":
        raise Breach("answered as something else than JSON")
    return answer


@attack("other types of bodies", 415)
def _(server: Server) -> Played:
    kinds = ("application/x-www-form-urlencoded", "text/plain", "image/jpeg", "application/xml", "multipart/mixed", "x")
    return [a for kind in kinds if (a := server.send(server.photo, kind)) is not None]


@attack("a Content-Type of 3,000 parameters", 400, 415, 422, 431)
def _(server: Server) -> Played:
    return server.send(b"{}", "application/json" + ";a=b" * 3_000)


@attack("a body larger than allowed", 413)
def _(server: Server) -> Played:
    return server.upload(b"x" * 15_000_000)


@attack("a compressed body that unpacks to 500 MB", 400, 415, 422)
def _(server: Server) -> Played:
    import gzip

    packed = gzip.compress(bytes(200 << 20), 1)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return server.request("POST", "/v1/captions", packed, headers)
