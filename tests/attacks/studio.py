"""The studio: captions that are HTML, formulas or SQL, numbers and paths of images, and changes by other sites."""

import csv
import io
import json
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from tests.attacks import Breach, Played, attack
from tests.attacks.server import Server
from tests.attacks.wire import Answer

HTML = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>'\"&lt;{{7*7}}${7*7}"
NAMES = ("<img src=x onerror=document.title='run'>.png", "a'; DROP TABLE image;--.png", "=1+1.png", "__proto__.png")
STRANGE = b"caf\xe9\n\x1b[31m injected.png"
IMAGES = "/v1/studio/images"


def make_folder(folder: Path) -> None:
    """Makes a folder of images with names that attack, a link to a secret, and a broken file."""
    folder.mkdir()
    for number, name in enumerate((*NAMES, "plain.png", "édité ✓.png", "changed.png")):
        Image.new("RGB", (60, 40), (number * 30, 90, 160)).save(folder / name)
    Image.new("RGB", (60, 40), (9, 9, 90)).save(folder / os.fsdecode(STRANGE), "PNG")
    (folder / "broken.jpg").write_bytes(b"secret-of-this-machine")
    secret = folder.parent / "secret.png"
    secret.write_bytes(b"secret-of-this-machine")
    (folder / "link.png").symlink_to(secret)


def images(server: Server, query: str = "limit=100") -> list[dict[str, Any]]:
    """Returns the list of images."""
    answer = server.get(f"{IMAGES}?{query}")
    assert answer is not None and answer.status == 200, answer
    found: list[dict[str, Any]] = json.loads(answer.body)["images"]
    return found


def image(server: Server, name: str = "plain.png") -> dict[str, Any]:
    """Returns an image by its name."""
    return next(one for one in images(server) if one["name"] == name)


def edit(server: Server, caption: Any, name: str = "plain.png", **more: Any) -> Answer | None:
    """Writes a caption, based on the current revision."""
    one = image(server, name)
    document = {"caption": caption, "status": "edited", "revision": one["revision"], **more}
    return server.json(document, f"{IMAGES}/{one['id']}", "PUT")


def _all(answers: list[Answer | None]) -> Played:
    return [answer for answer in answers if answer is not None] or None


@attack("captions with HTML, scripts and templates are kept as text", 200)
def _(server: Server) -> Played:
    answer = edit(server, HTML)
    one = image(server)
    detail = server.get(f"{IMAGES}/{one['id']}")
    if one["caption"] != HTML or detail is None or json.loads(detail.body)["caption"] != HTML:
        raise Breach("the caption was changed")
    if any(given and given.header("content-type") != "application/json" for given in (answer, detail)):
        raise Breach("a caption is served as something else than JSON")
    return _all([answer, detail])


@attack("captions with control characters, NUL and halves of characters", 400, 422)
def _(server: Server) -> Played:
    texts = ("a\0b", "a\nb", "a\rb", "\x1b[31m", "\u2028", "\ufeff", "\x85", "", " ", "\u200b", "\u202e")
    answers = [edit(server, text) for text in texts]
    raw = [b'{"caption": "\\ud800", "status": "edited", "revision": 0}', b'{"caption": "\xff", "revision": 0}']
    return _all([*answers, *(server.json(document, f"{IMAGES}/1", "PUT") for document in raw)])


@attack("a caption of 1 MB", 413, 422)
def _(server: Server) -> Played:
    return _all([edit(server, "a" * 1_000_000), edit(server, "a" * 1001)])


@attack("changes of other types", 400, 422)
def _(server: Server) -> Played:
    path = f"{IMAGES}/{image(server)['id']}"
    documents: list[Any] = [
        {"caption": ["a"], "status": "edited", "revision": 0},
        {"caption": {"a": 1}, "status": "edited", "revision": 0},
        {"caption": None, "status": "edited", "revision": 0},
        {"caption": "a", "status": "failed", "revision": 0},
        {"caption": "a", "status": "__proto__", "revision": 0},
        {"caption": "a", "status": ["edited"], "revision": 0},
        {"caption": "a", "status": "edited", "revision": -1},
        {"caption": "a", "status": "edited", "revision": 2**63},
        {"caption": "a", "status": "edited", "revision": "0"},
        {"caption": "a", "status": "edited", "revision": True},
        {"caption": "a", "status": "edited"},
        {"caption": "a", "status": "edited", "revision": 0, "name": "../../x"},
        {"caption": "a", "status": "edited", "revision": 0, "__proto__": {"polluted": 1}},
        [],
        b'{"caption": "a", "caption": "b", "status": "edited", "revision": 0}',
        b"[" * 16_000,
    ]
    return _all([server.json(document, path, "PUT") for document in documents])


@attack("numbers of images that are none", 400, 404, 405, 422)
def _(server: Server) -> Played:
    numbers = (
        "0",
        "-1",
        "99999999",
        "2147483648",
        "9" * 400,
        "1e1",
        "0x1",
        "%31%00",
        "१",
        "1;2",
        "1%20or%201=1",
    )
    paths = ("..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%2e%2e", "a.png", "1/../../secret.png", "1%2f..%2fx")
    answers = []
    for number in (*numbers, *paths):
        for part in ("", "/thumbnail", "/picture"):
            answer = server.get(f"{IMAGES}/{number}{part}")
            if answer is not None and answer.status == 200:
                raise Breach(f"{number}{part} is answered")
            answers.append(answer)
    return _all(answers)


@attack("SQL in queries", 200)
def _(server: Server) -> Played:
    everything = len(images(server))
    texts = (
        "%27%20OR%201=1--",
        "%25",
        "_",
        "*",
        "%22",
        "%5c",
        "a%27;DROP%20TABLE%20image;--",
        "%00",
        "NEAR(",
        "%F0%9F%98%80",
    )
    answers = []
    for text in texts:
        answer = server.get(f"{IMAGES}?q={text}&limit=100")
        answers.append(answer)
        if answer is not None and answer.status == 200 and "OR" in text and json.loads(answer.body)["total"]:
            raise Breach(f"{text} finds images")
    if len(images(server)) != everything:
        raise Breach("images are gone")
    return _all(answers)


@attack("queries that are none", 422)
def _(server: Server) -> Played:
    queries = (
        "filter=none",
        "sort=name;DROP",
        "sort=rowid",
        "limit=0",
        "limit=1001",
        "limit=9999999999",
        "offset=-1",
        "offset=9223372036854775808",
        "q=" + "a" * 5000,
        "ids=1,2;3",
        "ids=" + ",".join(["1"] * 5000),
        "path=/etc/passwd",
        "__proto__[a]=1",
    )
    return _all([server.get(f"{IMAGES}?{query}") for query in queries])


@attack("exports to other places and in other formats", 400, 415, 422)
def _(server: Server) -> Played:
    documents: list[Any] = [
        {"formats": ["../../x"]},
        {"formats": ["html"]},
        {"formats": []},
        {"formats": ["csv"] * 1000},
        {"formats": "csv"},
        {"formats": ["csv"], "output": "/tmp"},
        {"formats": ["csv"], "overwrite": True},
        {},
    ]
    return _all([server.json(document, "/v1/studio/exports") for document in documents])


@attack("formulas in the table of captions", 200)
def _(server: Server) -> Played:
    formulas = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1,1)", "＝1+1")
    answers: list[Answer | None] = []
    for formula in formulas:
        answers.append(edit(server, formula))
        table = server.get("/v1/studio/captions.csv")
        answers.append(table)
        assert table is not None
        rows = list(csv.reader(io.StringIO(table.body.decode("utf-8-sig"))))
        if any(cell.startswith(("=", "+", "@", "＝")) for row in rows for cell in row):
            raise Breach("a spreadsheet runs a cell")
        if not any(f"'{formula}" in row for row in rows):
            raise Breach("the caption is not in the table")
        if "attachment" not in table.header("content-disposition"):
            raise Breach("the table is shown by the browser")
    return _all(answers)


@attack("changes by pages of other sites", 403)
def _(server: Server) -> Played:
    one = image(server)
    body = json.dumps({"caption": "stolen", "status": "edited", "revision": one["revision"]}).encode()
    own = {"Content-Type": "application/json"}
    senders = ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
    places = (("PUT", f"{IMAGES}/{one['id']}"), ("POST", "/v1/studio/exports"), ("POST", "/v1/studio/retrain"))
    places += (("DELETE", "/v1/studio/retrain"), ("POST", f"{IMAGES}/{one['id']}/undo"))
    answers = [server.request(method, path, body, {**own, **sender}) for method, path in places for sender in senders]
    if image(server)["caption"] == "stolen":
        raise Breach("another site wrote a caption")
    return _all(answers)


@attack("changes by forms, which need no permission", 403, 415)
def _(server: Server) -> Played:
    one = image(server)
    body = json.dumps({"caption": "stolen", "status": "edited", "revision": one["revision"]}).encode()
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "")
    answers = [server.send(body, kind, f"{IMAGES}/{one['id']}", "PUT") for kind in kinds]
    if image(server)["caption"] == "stolen":
        raise Breach("a form wrote a caption")
    return _all(answers)


@attack("changes by GET", 404, 405, 422)
def _(server: Server) -> Played:
    one = image(server)
    targets = (
        f"{IMAGES}/{one['id']}?caption=stolen&status=edited&revision={one['revision']}",
        f"{IMAGES}/{one['id']}/undo?revision={one['revision']}",
        "/v1/studio/exports?formats=csv",
    )
    answers = [server.get(target) for target in targets]
    if image(server)["revision"] != one["revision"]:
        raise Breach("GET changes something")
    return _all(answers)


@attack("the studio by another host name", 403)
def _(server: Server) -> Played:
    targets = (IMAGES, f"{IMAGES}/1", f"{IMAGES}/1/picture", "/v1/studio/captions.csv", "/v1/studio/progress", "/")
    return _all([server.get(target, Host="evil.example") for target in targets])


@attack("two people who change one caption", 200, 409)
def _(server: Server) -> Played:
    one = image(server)
    document = {"status": "edited", "revision": one["revision"]}
    with ThreadPoolExecutor(8) as people:
        answers = list(
            people.map(
                lambda n: server.json({**document, "caption": f"version {n}"}, f"{IMAGES}/{one['id']}", "PUT"), range(8)
            )
        )
    statuses = sorted(answer.status for answer in answers if answer is not None)
    if statuses != [200, *[409] * 7]:
        raise Breach(f"answers {statuses}")
    if image(server)["revision"] != one["revision"] + 1:
        raise Breach("an edit is lost")
    return _all(list(answers))


@attack("links and files that are no images", 404)
def _(server: Server) -> Played:
    listed = {one["name"]: one for one in images(server)}
    names = [name for name in ("broken.jpg", "link.png") if name in listed]
    parts = ("thumbnail", "picture")
    return _all([server.get(f"{IMAGES}/{listed[name]['id']}/{part}") for name in names for part in parts])


@attack("a name that is not UTF-8 and has a line break and an escape sequence", 200)
def _(server: Server) -> Played:
    listed = [one for one in images(server) if one["name"].startswith("caf")]
    if len(listed) != 1 or not listed[0]["name"].isascii():
        raise Breach(f"it is listed as {[one['name'] for one in listed]}")
    answers = [server.get(f"{IMAGES}/{listed[0]['id']}{part}") for part in ("", "/thumbnail", "/picture")]
    return _all([*answers, edit(server, "a red square", listed[0]["name"]), server.get("/v1/studio/captions.csv")])


@attack("an image that becomes a link to a secret, a pipe, a folder", 404, 200)
def _(server: Server) -> Played:
    """A pipe must not block; what is served is never the file itself."""
    one, path = image(server, "changed.png"), server.folder / "images" / "changed.png"
    kept, answers = path.read_bytes(), []
    secret = server.folder / "secret.png"
    for make in (lambda: path.symlink_to(secret), lambda: os.mkfifo(path), lambda: path.mkdir()):
        path.unlink()
        make()
        for part in ("thumbnail", "picture"):
            answer = server.get(f"{IMAGES}/{one['id']}/{part}")
            if answer is None:
                raise Breach("no answer")
            if answer.status == 200 and not answer.body.startswith(b"\xff\xd8\xff"):
                raise Breach("something else than a JPEG")
            answers.append(answer)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
            path.write_bytes(b"")
    path.unlink()
    path.write_bytes(kept)
    return _all(answers)


@attack("1,000 pictures at once", 200, 429, 503, slow=True)
def _(server: Server) -> Played:
    numbers = [one["id"] for one in images(server) if one["status"] != "failed"]
    with ThreadPoolExecutor(50) as people:
        answers = list(people.map(lambda n: server.get(f"{IMAGES}/{numbers[n % len(numbers)]}/picture"), range(1000)))
    return _all(answers)


@attack("edits of 20 people while others search", 200, 409, slow=True)
def _(server: Server) -> Played:
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            images(server, "q=a&sort=uncertain&limit=1000")

    searching = [threading.Thread(target=search) for _ in range(4)]
    for thread in searching:
        thread.start()
    with ThreadPoolExecutor(20) as people:
        answers = list(people.map(lambda n: edit(server, f"a dog number {n}", NAMES[n % 4]), range(100)))
    stop.set()
    for thread in searching:
        thread.join()
    return _all(answers)


@attack("the project survives all this", 200)
def _(server: Server) -> Played:
    with sqlite3.connect(next((server.folder / "images").glob(".capsmith-studio/*.sqlite"))) as database:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise Breach("the database is damaged")
    files = {path.name for path in server.folder.iterdir()}
    if files - {"images", "secret.png", "log"}:
        raise Breach(f"files outside of the folder: {files}")
    return server.get("/v1/studio/progress")
