"""Third-party captioners in commands: a program that names colours captions images, folders and a split."""

import json
import shutil

import pytest
from PIL import Image

from capsmith.cli import main
from tests.models.external.test_program import command
from tests.support import shapes


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("a.png", (200, 0, 0)), ("b.png", (0, 0, 200)), ("c.png", (0, 200, 0))):
        Image.new("RGB", (20, 30), colour).save(folder / name)
    return folder


def test_images_and_folders(photos, capsys):
    assert main(["caption", command(), str(photos / "b.png")]) == 0
    assert main(["caption", command(), str(photos), "--json"]) == 0
    first, *records = capsys.readouterr().out.splitlines()
    assert first == f"{photos / 'b.png'}\ta blue square"
    assert [json.loads(line)["caption"] for line in records] == [f"a {c} square" for c in ("red", "blue", "green")]


def test_a_broken_image_is_reported_at_the_end(photos, capsys):
    (photos / "b.png").write_bytes(b"\x89PNG broken")
    assert main(["caption", command(), str(photos)]) == 2
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2 and "b.png" in output.err


def test_results_in_files_go_on_where_they_stopped(photos, tmp_path, capsys):
    log = tmp_path / "log"
    assert main(["caption", command("crash", log), str(photos), "--write", "txt"]) == 2
    assert "exit code 3" in capsys.readouterr().err
    assert (photos / "a.txt").read_text().strip() == "a red square" and not (photos / "c.txt").exists()
    # the same program, which crashes at its second image each time, captions two more in two more runs
    for code in (2, 0):
        assert main(["caption", command("crash", log), str(photos), "--write", "txt"]) == code
    assert [(photos / f"{name}.txt").read_text().strip() for name in "abc"] == [
        f"a {colour} square" for colour in ("red", "blue", "green")
    ]
    asked = [line.rpartition("/")[2] for line in log.read_text().splitlines()]
    assert asked == ["a.png", "b.png", "b.png", "c.png", "c.png"]


def test_a_split_is_scored_with_its_control(tmp_path, capsys):
    config = shapes.trained() / "config.yaml"
    out = tmp_path / "report"
    arguments = ["evaluate", command(), "--dataset", str(config), "--out", str(out), "--json"]
    assert main([*arguments, "--split", "test"]) == 0
    result = json.loads(capsys.readouterr().out)
    scores = result["scores"]
    assert scores["bleu1"]["value"] > result["control"]["scores"]["bleu1"]["value"] > 0
    predictions = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == result["images"]
    assert all(one["caption"].split()[1] in ("red", "green", "blue") for one in predictions)
    (reading,) = [json.loads(line) for line in (out / "test_readings.jsonl").read_text().splitlines()]
    assert reading["runs"][0]["run"] == command() and len(reading["runs"][0]["fingerprint"]) == 16
    assert "caption_program.py" in (out / "index.html").read_text()
    assert not (out / "captions.partial.jsonl").exists()


def interrupted(arguments, monkeypatch):
    """Leaves what an evaluation leaves that is ended before its report is written."""

    def ended(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("capsmith.evaluation.external.write_results", ended)
        assert main(arguments) == 130


def test_an_interrupted_evaluation_goes_on(tmp_path, capsys, monkeypatch):
    config, log, out = shapes.trained() / "config.yaml", tmp_path / "log", tmp_path / "report"
    arguments = ["evaluate", command("", log), "--dataset", str(config), "--out", str(out), "--split", "dev", "--json"]
    assert main(arguments) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    images = log.read_text().splitlines()
    interrupted(arguments, monkeypatch)
    # a killed evaluation: two captions, and a torn one
    partial = out / "dev" / "captions.partial.jsonl"
    about, *lines = partial.read_text().splitlines()
    assert len(lines) == len(images)
    partial.write_text("\n".join([about, *lines[:2], lines[2][:20]]))
    log.write_text("")
    assert main(arguments) == 0
    assert log.read_text().splitlines() == images[2:]
    assert json.loads(capsys.readouterr().out)["scores"] == scores
    # damaged: all images are captioned again
    partial.write_text("\n".join([about, '{"image": "a"}', "[]", "1", ""]))
    log.write_text("")
    assert main(arguments) == 0 and log.read_text().splitlines() == images


def test_captions_of_another_data_set_with_the_same_names_are_not_taken_over(tmp_path, capsys, monkeypatch):
    config, log, out = shapes.trained() / "config.yaml", tmp_path / "log", tmp_path / "report"
    copy = shutil.copytree(shapes.data(), tmp_path / "copy")
    arguments = ["evaluate", command("", log), "--dataset", str(config), "--out", str(out), "--split", "dev", "--json"]
    interrupted(arguments, monkeypatch)
    images = log.read_text().splitlines()
    log.write_text("")
    assert main([*arguments, "--set", f"data.root={copy}"]) == 0
    assert log.read_text().splitlines() == [line.replace(str(shapes.data()), str(copy)) for line in images]


def test_show_is_one_line(capsys):
    assert main(["show", command()]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    from capsmith.models.external.load import load_external

    assert line.startswith(command()) and line.endswith(load_external(command()).engine.fingerprint)
