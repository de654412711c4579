"""Files of pages: found by name in a list, with ETag and compression."""

import gzip

import pytest

from tests.support.service import client_of, quick_app


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site" / "js").mkdir(parents=True)
    (tmp_path / "site" / "js" / "main.js").write_text("// " + "long " * 500)
    (tmp_path / "site" / "small.css").write_text("a{}")
    (tmp_path / "site" / "script.php").write_text("<?php")
    (tmp_path / "site" / "index.html").write_text("<!doctype html><title>mine</title>")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site" / "picture.png").write_bytes(b"\x89PNG" + b"0" * 5000)
    return tmp_path / "site"


@pytest.fixture
def client(folder):
    with client_of(quick_app(files={"mine": folder, "index.html": folder / "index.html"})) as client:
        yield client


def test_files_of_a_further_folder(client):
    answer = client.get("/static/mine/js/main.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8" and answer.text.startswith("// long")
    assert "mine" in client.get("/").text and "script-src 'self'" in client.get("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "script.php",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "js/../../secret.txt",
        "js",
        "js/",
        "",
        "js//main.js",
        "JS/main.js",
        "small.css%00.png",
        "%5c..%5csecret.txt",
    ],
)
def test_nothing_else_is_served(client, path):
    answer = client.get(f"/static/mine/{path}")
    assert answer.status_code == (400 if "%00" in path else 404) and "secret" not in answer.text


def test_text_is_compressed_if_the_client_can(client):
    plain = client.get("/static/mine/js/main.js", headers={"accept-encoding": "identity"})
    packed = client.get("/static/mine/js/main.js", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text and int(packed.headers["content-length"]) < 200
    assert packed.headers["vary"] == "accept-encoding"
    for name in ("small.css", "picture.png"):
        assert "content-encoding" not in client.get(f"/static/mine/{name}").headers


def test_a_file_is_sent_again_when_it_was_changed(client, folder):
    first = client.get("/static/mine/small.css")
    same = client.get("/static/mine/small.css", headers={"if-none-match": first.headers["etag"]})
    assert same.status_code == 304 and same.headers["etag"] == first.headers["etag"]
    (folder / "small.css").write_text("b{}")
    changed = client.get("/static/mine/small.css", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200 and changed.text == "b{}"


def test_files_are_compressed_once():
    from capsmith.deploy.serving.static_files import StaticFile

    file = StaticFile(b"a" * 5000, ".css")
    assert file.compressed is file.compressed and gzip.decompress(file.compressed) == file.body
