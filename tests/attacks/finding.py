"""Recommendations and search: absurd numbers, a million captions, images by path, scans at once, and unknown names."""

import base64
import json
import threading
from pathlib import Path

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.attacks.wire import Answer
from tests.support.image_bytes import encoded

SMALL = base64.b64encode(encoded()).decode()
RECOMMEND, SEARCH, INDEX = "/v1/recommendations", "/v1/search", "/v1/indexes/colours"
NUMBERS = ("0", "-1", "201", "1e9", "2.5", "NaN", "Infinity", "1e999", '"9"', "[9]", "true", "null", "9" * 400)


def _sent(server: Server, target: str, *bodies: str) -> Played:
    return [answer for body in bodies if (answer := server.json(body.encode("utf-8", "surrogatepass"), target))]


def _got(server: Server, *targets: str) -> Played:
    found = [answer for target in targets if (answer := server.get(target)) is not None]
    if any(answer.status == 200 for answer in found):
        raise Breach("it is answered")
    return found


@attack("absurd numbers of results", 400, 422)
def _(server: Server) -> Played:
    searches = _sent(server, SEARCH, *[f'{{"text": "red", "top": {number}}}' for number in NUMBERS])
    captions = _sent(server, RECOMMEND, *[f'{{"images": ["{SMALL}"], "top": {number}}}' for number in NUMBERS])
    return [*searches, *captions]  # type: ignore[misc]


@attack("thresholds that are no numbers", 400, 422)
def _(server: Server) -> Played:
    values = ("NaN", "-Infinity", "1e400", "2", "-2", '"0.5"', "[]", "{}", "true", "null")
    json_ones = _sent(server, SEARCH, *[f'{{"text": "red", "threshold": {value}}}' for value in values])
    forms = [_form(server, SEARCH, text="red", threshold=value) for value in ("nan", "inf", "1e400", "0x1", "٣", "")]
    return [*json_ones, *forms]  # type: ignore[misc]


def _form(server: Server, target: str, **fields: str) -> Answer:
    from tests.attacks.wire import disposition, form

    body = form([(disposition(name), text.encode()) for name, text in fields.items()])
    answer = server.send(body, "multipart/form-data; boundary=x", target)
    assert answer is not None
    return answer


@attack("a million captions, and captions of a million letters", 400, 413, 422)
def _(server: Server) -> Played:
    many = ", ".join(['"a red day"'] * 1_000_000)
    entry = ", ".join(['{"caption": "a", "description": "red", "theme": "t"}'] * 100_000)
    long = "red " * 1_000_000
    bodies = [f'{{"images": ["{SMALL}"], "captions": [{content}]}}' for content in (many, entry, f'"{long}"')]
    lines = _form(server, RECOMMEND, captions="a red day\n" * 60_000)
    return [*_sent(server, RECOMMEND, *bodies), lines]  # type: ignore[misc]


@attack("captions that are markup, controls, or nothing", 200, 400, 422)
def _(server: Server) -> Played:
    texts = ("<script>red</script>", "\u202ered", "red\0", " ", "", "\ud800", "\x1b[31mred", "{{7*7}} red")
    bodies = [f'{{"images": ["{SMALL}"], "captions": [{json.dumps(text)}]}}' for text in texts]
    return _sent(server, RECOMMEND, *bodies)


@attack("images of an index by path", 400, 404, 405, 422, bare=True)
def _(server: Server) -> Played:
    ids = (
        "../../secret.png",
        "..%2f..%2fsecret.png",
        "%2e%2e%2f",
        "1/../../etc/passwd",
        "/etc/passwd",
        "1%00",
        "1.png",
    )
    ids += ("-1", "0x1", "1e0", "999999", "99999999999999999999", "1 OR 1=1", "%31%0d%0a", "١")
    return _got(server, *[f"{INDEX}/images/{id}/{part}" for id in ids for part in ("thumbnail", "picture")])


@attack("unknown indexes and libraries", 400, 404, 405, 422, bare=True)
def _(server: Server) -> Played:
    names = ("other", "..", "%2e%2e%2fcolours", "x" * 3000, "colours%00", "__proto__", "%F0%9F%90%B6", "COLOURS")
    paths = [f"/v1/indexes/{name}" for name in names] + [f"/v1/libraries/{name}" for name in names]
    bodies = [f'{{"text": "red", "index": {json.dumps(name)}}}' for name in (*names, "", "../colours")]
    return [*_got(server, *paths), *_sent(server, SEARCH, *bodies)]  # type: ignore[misc]


@attack("queries like images that there are not, and several queries at once", 400, 404, 422)
def _(server: Server) -> Played:
    likes = ("0", "-1", "999999", "1e300", "9007199254740992", "1.5", '"1"', "[1]", "null")
    mixed = '{"text": "red", "like": 1}', '{"text": "red", "words": "red"}', f'{{"image": "{SMALL}", "like": 1}}'
    return _sent(
        server, SEARCH, *[f'{{"like": {like}}}' for like in likes], *mixed, "{}", "[]", "null", '{"images": []}'
    )


@attack("texts of strange letters", 200, 400, 422)
def _(server: Server) -> Played:
    texts = ("\u202e", "ﷺ" * 400, "İ" * 499, "\U0001f468\u200d\U0001f469", "' OR 1=1 --", "%s%n", "red\nred", "a" * 501)
    return _sent(server, SEARCH, *[f'{{"text": {json.dumps(text)}}}' for text in texts], '{"text": "\\ud800"}')


@attack("twenty scans of an index at once", 202, 409)
def _(server: Server) -> Played:
    answers: list[Answer] = []

    def refresh() -> None:
        if (answer := server.request("POST", f"{INDEX}/refresh")) is not None:
            answers.append(answer)

    threads = [threading.Thread(target=refresh) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not any(answer.status == 202 for answer in answers):
        raise Breach("none is answered")
    return list(answers)


@attack("scans that another site starts", 403)
def _(server: Server) -> Played:
    origins = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
    return [a for headers in origins if (a := server.request("POST", f"{INDEX}/refresh", headers=headers)) is not None]


@attack("an image of the index that became a link to a secret", 404)
def _(server: Server) -> Played:
    answer = server.json({"text": "white", "top": 1}, SEARCH)
    assert answer is not None
    (hit,) = json.loads(answer.body)["results"]
    path = Path(server.folder) / "photos" / hit["name"]
    before = path.read_bytes()
    path.unlink()
    path.symlink_to(server.folder / "secret.txt")
    try:
        return [a for part in ("thumbnail", "picture") if (a := server.get(hit[part])) is not None]
    finally:
        path.unlink()
        path.write_bytes(before)
