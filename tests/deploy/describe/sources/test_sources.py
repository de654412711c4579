"""Folders, lists of addresses and Pixabay as sources, over a server that misbehaves."""

import json
import os
import traceback

import pytest
from PIL import Image

from capsmith.core.errors import CapsmithError, ConfigError, DataError
from capsmith.deploy.describe.sources import http, open_source
from capsmith.deploy.describe.sources.address_list import AddressList, without_query
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.pixabay import KEY as VARIABLE
from capsmith.deploy.describe.sources.pixabay import Pixabay
from tests.support.image_server import KEY, image_server, photo
from tests.support.logs import on_log


@pytest.fixture(scope="module")
def _running():
    with image_server() as server:
        yield server


@pytest.fixture
def server(_running, monkeypatch):
    for name, value in (("fails", []), ("hits", None), ("headers", {}), ("asked", []), ("paths", [])):
        setattr(_running, name, value)
    monkeypatch.setattr(http, "_PAUSE", 0.01)
    monkeypatch.setattr(http, "_TIMEOUT", 2.0)
    return _running


@pytest.fixture
def pixabay(server, tmp_path):
    return make(server, tmp_path)


def make(server, folder, limit=4, key=KEY):
    caches = DownloadCache(folder / "answers"), DownloadCache(folder / "images")
    return Pixabay(key, limit, *caches, address=f"{server.address}/api/")


def colours(images):
    return [Image.open(image.path).convert("RGB").getpixel((0, 0)).index(200) for image in images]  # 0 red, 2 blue


def test_pixabay_is_asked_as_it_documents(pixabay, server):
    images = list(pixabay.images("two dogs"))
    (asked,) = server.asked
    assert asked == {"key": KEY, "q": "two dogs", "image_type": "photo", "safesearch": "true", "per_page": "4"}
    assert colours(images) == [0, 2, 0, 2]
    first = images[0]
    assert (first.title, first.credit) == ("red, blossom", "Josch13 on Pixabay")
    assert first.page == "https://pixabay.com/photos/blossom-bloom-flower-195893/"


def test_answers_are_kept_for_a_day_and_photographs_longer(pixabay, server, monkeypatch):
    list(pixabay.images("dogs"))
    asked = list(server.paths)
    assert len(list(pixabay.images(" dogs  "))) == 4 and server.paths == asked
    now = http.time.time()
    monkeypatch.setattr("capsmith.deploy.describe.sources.download_cache.time.time", lambda: now + 24 * 3600 + 1)
    assert len(list(pixabay.images("dogs"))) == 4
    assert server.paths == [*asked, "/api/"]


def test_long_queries_are_cut_at_a_word_and_few_photographs_asked_for(server, tmp_path):
    images = list(make(server, tmp_path, limit=1).images("dog " * 40))
    assert len(images) == 1
    assert server.asked[0]["q"] == " ".join(["dog"] * 25) and server.asked[0]["per_page"] == "3"


def fail(status, body=b"[ERROR] try again", kind="text/plain", **headers):
    return lambda handler: handler.answer(status, body, kind, {k.replace("_", "-"): v for k, v in headers.items()})


def test_failures_that_may_pass_are_tried_again(pixabay, server):
    server.fails = [fail(503), fail(429, X_RateLimit_Reset="0")]
    assert len(list(pixabay.images("dogs"))) == 4
    assert len(server.asked) == 3


def test_a_spent_limit_is_waited_for_or_said(pixabay, server, monkeypatch):
    server.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}
    waits = []
    monkeypatch.setattr("capsmith.deploy.describe.sources.pixabay.time.sleep", waits.append)
    list(pixabay.images("dogs"))
    server.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "900"}
    list(pixabay.images("cats"))
    assert len(waits) == 1 and 6 < waits[0] <= 7
    with pytest.raises(CapsmithError, match="no more requests for 900 s"):
        list(pixabay.images("birds"))


@pytest.mark.parametrize(
    ("answers", "tries", "said"),
    [
        ([fail(400, f"[ERROR 400] bad key {KEY}".encode())], 1, "ERROR 400"),
        ([fail(400, b"the address " + b"x" * 150 + f" had {KEY} in it".encode() * 9)], 1, "400: the address"),
        ([fail(429, X_RateLimit_Reset="999")], 1, "429"),
        ([fail(500)] * 3, 3, "500"),
        ([fail(302, b"", Location="https://example.org/?stolen")], 1, "redirects"),
        ([fail(200, b"<html>captive portal</html>", "text/html")], 1, "understood"),
        ([fail(200, b'{"hits": 3}')], 1, "understood"),
        ([fail(200, b"[" * 100_000)], 1, "understood"),
        ([fail(200, b"{}" + b" " * 3_000_000)], 1, "2,000,000 bytes"),
        ([lambda handler: handler._garbage()] * 3, 3, "BadStatusLine"),
        ([lambda handler: handler.answer(200, b"{", headers={"Content-Length": "9"})] * 3, 3, "broke off"),
    ],
)
def test_a_misbehaving_api_is_one_line_without_the_key(pixabay, server, answers, tries, said):
    server.fails = list(answers)
    with pytest.raises(CapsmithError, match=said) as caught:
        list(pixabay.images("dogs"))
    assert len(server.asked) == tries
    text = "".join(traceback.format_exception(caught.value))
    assert str(caught.value).startswith("Pixabay") and "\n" not in str(caught.value)
    assert "secret" not in text and "secret" not in repr(pixabay)


def test_the_key_is_nowhere_on_the_disk_nor_in_the_log(pixabay, server, tmp_path):
    server.hits = [photo(server, 0), {**photo(server, 1), "webformatURL": f"{server.address}/missing?key={KEY}"}]
    lines = []
    with on_log(lines.append):
        assert len(list(pixabay.images("dogs"))) == 1
    (line,) = lines
    assert "195894" in line and "404" in line and "secret" not in line
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    texts = [path.name.encode() + path.read_bytes() for path in files]
    answer = json.loads(next(path for path in files if path.parent.name == "answers").read_bytes())
    assert answer["hits"][1]["webformatURL"].endswith(KEY)  # the stub's own doing; the request's key is not kept
    assert sum(text.count(b"secret") for text in texts) == 1


def test_incomplete_hits_are_left_out_and_none_is_an_error(pixabay, server):
    server.hits = [{}, None, 3, {"id": "x"}, {**photo(server, 1), "pageURL": "javascript:alert(1)", "user": 7}]
    (image,) = pixabay.images("dogs")
    assert (image.page, image.credit) == ("", "Pixabay")
    server.hits = []
    with pytest.raises(CapsmithError, match="no photograph for 'cats'"):
        list(pixabay.images("cats"))
    with pytest.raises(ConfigError, match="--query"):
        list(pixabay.images(" "))


def test_a_wrong_and_a_missing_key(server, tmp_path, monkeypatch):
    with pytest.raises(CapsmithError, match="Invalid or missing API key"):
        list(make(server, tmp_path, key="wrong").images("dogs"))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=VARIABLE):
        open_source("pixabay")
    monkeypatch.setenv(VARIABLE, "key")
    assert open_source("pixabay").name == "Pixabay"


BAD = ("missing", "page", "broken", "endless", "garbage", "empty", "local", "circle", "slow", "superscript")


def test_a_list_of_addresses_skips_what_cannot_be_had(server, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "_DEADLINE", 0.5)
    names = ["red.png", *BAD, "moved", "blue.png?token=secret"]
    lines = ["# a comment", "", *(f"{server.address}/{name}" for name in names)]
    lines[2] += "\tA red square"
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    source = AddressList.read(path, 99, DownloadCache(tmp_path / "cache"))
    log = []
    with on_log(log.append):
        images = list(source.images("anything"))
    assert colours(images) == [0, 0, 2]
    assert [image.title for image in images] == [
        "A red square",
        f"{server.address}/moved",
        f"{server.address}/blue.png",
    ]
    assert [line.partition(": ")[0] for line in log] == [f"{server.address}/{name}" for name in BAD]
    assert "secret" not in str(log) and len(list((tmp_path / "cache").iterdir())) == 3
    asked = len(server.paths)
    assert len(list(AddressList.read(path, 1, DownloadCache(tmp_path / "cache")).images(""))) == 1
    assert len(server.paths) == asked  # kept


@pytest.mark.parametrize("name", ["drip", "trailers"])
def test_an_answer_without_end_is_ended(server, monkeypatch, name):
    monkeypatch.setattr(http, "_DEADLINE", 0.3)
    monkeypatch.setattr(http, "TRIES", 1)
    begin = http.time.monotonic()
    with pytest.raises(http.HttpError, match=r"longer than 0\.3 s"):
        http.get(f"{server.address}/{name}", 1000)
    assert http.time.monotonic() - begin < 5


def test_addresses_are_written_in_ascii(server):
    assert http.get(f"{server.address}/red.png/schön 1.png", 9999).body
    assert server.paths == ["/red.png/sch%C3%B6n%201.png"]
    with pytest.raises(http.HttpError, match="not an address"):
        http.get(f"{server.address}/\ud800", 9999)


def test_images_that_are_just_downloaded_are_not_removed_from_a_small_cache(server, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{server.address}/red.png\n{server.address}/blue.png\n", encoding="utf-8")
    cache = DownloadCache(tmp_path / "cache", limit=10)
    cache.write("old", b"0123456789")
    assert colours(AddressList.read(path, 9, cache).images("")) == [0, 2]
    assert colours(list(AddressList.read(path, 9, cache).images(""))) == [0, 2]
    assert cache.read("old") is None


def test_a_list_without_a_single_image_is_an_error(server, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{server.address}/missing\n{server.address}/page\n", encoding="utf-8")
    with pytest.raises(CapsmithError, match="404"):
        list(AddressList.read(path, 9, DownloadCache(tmp_path / "cache")).images(""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no address"),
        ("# only\n", "no address"),
        ("https://a/b.jpg\nfile:///etc/passwd\n", "line 2"),
        ("x", "line 1"),
    ],
)
def test_wrong_lists(tmp_path, text, said):
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        open_source(path)


def test_a_folder_is_a_source_and_anything_else_is_none(tmp_path):
    Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), (0, 0, 200)).save(tmp_path / "b.png")
    assert [image.title for image in open_source(tmp_path).images("red")] == ["a.png", "b.png"]
    assert [image.title for image in open_source(tmp_path, 1).images("red")] == ["a.png"]
    with pytest.raises(ConfigError, match="nowhere"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="limit 0"):
        open_source(tmp_path, 0)


def test_secrets_of_an_address_are_not_shown():
    assert without_query("https://me:pass@example.org/a/b.jpg?key=1#x") == "https://example.org/a/b.jpg"
    assert without_query("https://example.org?key=1") == "https://example.org"


def test_a_cache_keeps_what_was_used_last(tmp_path):
    cache = DownloadCache(tmp_path / "cache", limit=25)
    for number, key in enumerate("abc"):
        cache.write(key, b"0123456789")
        os.utime(cache.path(key), (1_000_000 + number,) * 2)
    cache.file("a", lambda: pytest.fail("it is kept"))
    cache.trim()
    assert cache.read("a") and cache.read("c") and cache.read("b") is None
