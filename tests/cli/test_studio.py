import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from capsmith.cli import main
from capsmith.core.starter import has_starter
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.projects import opened, photos, propose


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos")


@pytest.fixture
def captioned(folder):
    with opened(folder) as store:
        propose(store, 1, "a dog")
        store.edit(2, "كلب", "edited", 0)
    return folder


def error(capsys, *arguments):
    assert main(["studio", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("capsmith: ")
    return lines[0]


def test_mistakes_are_one_line(folder, tmp_path, capsys):
    assert "--images" in error(capsys, "--images", tmp_path / "none")
    assert "--images" in error(capsys, "--images", folder / "a.png")
    (tmp_path / "empty").mkdir()
    assert "no images" in error(capsys, "--images", tmp_path / "empty")
    assert "--port" in error(capsys, "--images", folder, "--port", 70_000)
    assert "--workers" in error(capsys, "--images", folder, "--workers", 0)
    assert "--export" in error(capsys, "--images", folder, "--output", tmp_path / "out")
    assert str(tmp_path / "no-run") in error(capsys, "--images", folder, tmp_path / "no-run")
    assert not (folder / ".capsmith-studio").exists()


@pytest.mark.skipif(not has_starter(), reason="needs the starter")
@pytest.mark.parametrize("kind", ["file", "busy", "damaged", "other"])
def test_a_project_that_cannot_be_used_is_one_line(folder, tmp_path, capsys, kind):
    project = tmp_path / "project"
    if kind == "file":
        project.write_text("")
    elif kind == "damaged":
        project.mkdir()
        (project / "studio.sqlite").write_text("not a database" * 99)
    else:
        holder = opened(photos(tmp_path / "others") if kind == "other" else folder, project)
        if kind == "other":
            holder.close()
    assert str(project) in error(capsys, "--images", folder, "--project", project, "--port", 0)
    if kind == "busy":
        holder.close()


def test_exports_without_a_server(captioned, capsys, tmp_path):
    assert main(["studio", "--images", str(captioned), "--export", "csv,.TXT"]) == 0
    assert capsys.readouterr().out == f"{captioned / 'captions.csv'}\n"
    assert (captioned / "b.txt").read_text(encoding="utf-8") == "كلب\n"
    (captioned / "a.txt").write_text("theirs")
    assert main(["studio", "--images", str(captioned), "--export", "txt"]) == 2
    assert "a.txt" in capsys.readouterr().err and (captioned / "a.txt").read_text() == "theirs"
    assert main(["studio", "--images", str(captioned), "--export", "txt", "--overwrite"]) == 0
    assert (captioned / "a.txt").read_text() == "a dog\n"
    assert main(["studio", "--images", str(captioned), "--export", "jsonl", "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/captions.jsonl").exists()


def test_exports_that_are_not_possible(folder, captioned, tmp_path, capsys):
    assert "docx" in error(capsys, "--images", folder, "--export", "docx")
    other = photos(tmp_path / "others")
    assert "capsmith studio" in error(capsys, "--images", other, "--export", "csv")
    (folder / "captions.csv").write_text("theirs")
    assert "captions.csv" in error(capsys, "--images", folder, "--export", "csv")


def start(folder, *more):
    command = [sys.executable, "-m", "capsmith", "studio", "--images", str(folder), "--port", "0", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    match = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    if match is None:
        raise AssertionError(process.communicate(timeout=20)[1])
    return process, http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=60)


def ask(connection, method, path, body=None):
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.skipif(not has_starter(), reason="needs the starter")
def test_a_studio_captions_saves_and_ends_by_a_signal(folder):
    pytest.importorskip("fastapi")
    process, connection = start(folder)
    try:
        end = time.monotonic() + 60
        while ask(connection, "GET", "/v1/studio/progress")[1]["captioned"] < 4:
            assert time.monotonic() < end
            time.sleep(0.1)
        body = {"caption": "犬が走る", "status": "edited", "revision": 0}
        assert ask(connection, "PUT", "/v1/studio/images/1", body)[0] == 200
        status, image = ask(connection, "GET", "/v1/studio/images/2")
        assert status == 200 and all(len(word["attention"]) == 9 for word in image["words"])
        again = subprocess.run(
            [sys.executable, "-m", "capsmith", "studio", "--images", str(folder), "--port", "0"],
            capture_output=True,
            text=True,
        )
        assert again.returncode == 2 and len(again.stderr.strip().splitlines()) == 1
    finally:
        connection.close()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in errors
    with Store.read(folder / ".capsmith-studio") as store:
        assert store.image(1).caption == "犬が走る" and store.model == ["starter"]
        assert store.counts().captioned == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
@pytest.mark.skipif(not has_starter(), reason="needs the starter")
def test_a_folder_that_cannot_be_written_names_the_option(folder, capsys):
    folder.chmod(0o500)
    try:
        assert "--project" in error(capsys, "--images", folder, "--port", 0)
    finally:
        folder.chmod(0o700)
