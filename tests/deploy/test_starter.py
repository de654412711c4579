"""The captioner that comes with capsmith: where it is found, when it is used, and what it needs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capsmith import Captioner
from capsmith.cli import main
from capsmith.core import starter as package_data
from capsmith.core.errors import CheckpointError
from capsmith.deploy.runtime import Captioner as Runtime
from capsmith.deploy.starter import introduction, is_for_starter
from capsmith.models.ensemble_run import find_runs
from capsmith.models.model_paths import is_model
from tests.support import toy
from tests.support.exports import write_export

HEAVY = ("keras", "tensorflow", "jax", "torch", "pydantic", "yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, data):
    config = toy.config_of(data.parent, data={"root": str(data)}).model_dump(mode="json")
    folder = tmp_path_factory.mktemp("package") / "starter_data"
    return write_export(folder, config=config, labels={"trained_on": "6 rendered scenes"})


@pytest.fixture
def starter(shipped, monkeypatch, tmp_path):
    monkeypatch.setattr(package_data, "STARTER_DATA", shipped)
    monkeypatch.chdir(tmp_path)
    return shipped


@pytest.fixture
def no_starter(monkeypatch, tmp_path):
    monkeypatch.setattr(package_data, "STARTER_DATA", tmp_path / "absent")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def image(data):
    return min((data / "images").glob("*.png"))


def captions(capsys):
    out, err = capsys.readouterr()
    return [line.split("\t")[1] for line in out.splitlines()], err


def test_an_image_without_a_run_is_captioned(starter, image, capsys):
    assert main(["caption", str(image)]) == 0
    found, err = captions(capsys)
    assert found == [Runtime.load(starter).caption(image).text]
    assert err.count("6 rendered scenes") == 1  # says what it was trained on


def test_a_folder_without_a_run_is_captioned(starter, data, image, capsys):
    assert main(["caption", str(data / "images")]) == 0
    found, _ = captions(capsys)
    assert len(found) == len(list((data / "images").iterdir()))


def test_options_may_stand_between_images(starter, image, capsys):
    assert main(["caption", str(image), "--max-length", "2", str(image)]) == 0
    found, _ = captions(capsys)
    assert len(found) == 2 and all(len(caption.split()) <= 2 for caption in found)
    assert main(["caption", "starter", "--json", str(image)]) == 0
    assert json.loads(capsys.readouterr().out)["image"] == str(image)
    assert main(["caption", "--json", "--", "starter", str(image)]) == 0
    assert json.loads(capsys.readouterr().out)["image"] == str(image)


def test_a_named_starter_says_nothing(starter, image, capsys):
    assert main(["caption", "starter", str(image)]) == 0
    found, err = captions(capsys)
    assert len(found) == 1 and "rendered scenes" not in err


def test_the_name_is_accepted_where_a_run_is(starter, image, capsys):
    expected = Runtime.load(starter).caption(image).text
    assert Captioner.load("starter").caption(image).text == expected
    assert Runtime.load("starter").caption(image).text == expected
    assert find_runs("starter").runs == (starter,) and is_model("starter")
    assert find_runs("starter").report == Path("starter-report").absolute()  # not in site-packages
    assert main(["show", "starter"]) == 0
    assert "encoder.onnx" in capsys.readouterr().out
    assert main(["evaluate", "starter", "--split", "dev"]) == 0
    assert Path("starter-report").is_dir() or Path("starter-report/dev").is_dir()


def test_a_file_or_folder_of_that_name_comes_first(starter, image, tmp_path):
    config = json.loads((starter / "manifest.json").read_text())["config"]
    other = write_export(tmp_path / "starter", seeds=(7,), config=config)
    assert Runtime.load("starter").caption(image).text == Runtime.load(other).caption(image).text
    assert find_runs("starter").runs == (Path("starter"),)
    shutil.rmtree(other)
    (tmp_path / "starter").mkdir()
    with pytest.raises(CheckpointError, match="not a run"):
        Captioner.load("starter")


def test_an_installation_without_it_says_so(no_starter, image, capsys):
    for arguments in ([str(image)], ["starter", str(image)]):
        assert main(["caption", *arguments]) == 2
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1 and "not in this installation" in err
    for load in (Captioner.load, Runtime.load):
        with pytest.raises(CheckpointError, match="not in this installation"):
            load("starter")


@pytest.mark.parametrize("first", ["runs/typo", "broken_run", "broken_export"])
def test_a_wrong_run_is_never_replaced_by_the_starter(first, starter, image, tmp_path, capsys):
    (tmp_path / "broken_run").mkdir()
    (tmp_path / "broken_run" / "vocabulary.json").write_text("{}")
    (tmp_path / "broken_export").mkdir()
    (tmp_path / "broken_export" / "step.onnx").write_bytes(b"")
    assert not is_for_starter(Path(first))
    assert main(["caption", first, str(image)]) == 2
    out, err = capsys.readouterr()
    assert not out and first in err and "starter model" not in err


@pytest.mark.parametrize("name", ["missing.jpg", "notes.txt", "empty"])
def test_a_wrong_image_is_an_error_of_the_image(name, starter, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    assert main(["caption", name]) == 2
    out, err = capsys.readouterr()
    assert not out and name in err


def test_unknown_options_are_still_errors(starter, image, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["caption", str(image), "--jsn"])
    assert exit.value.code == 2 and "--jsn" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["show", "starter", "another"])


def test_a_damaged_starter_is_refused(starter, image, tmp_path, monkeypatch, capsys):
    damaged = shutil.copytree(starter, tmp_path / "damaged")
    (damaged / "step.onnx").write_bytes((damaged / "step.onnx").read_bytes()[:-1])
    monkeypatch.setattr(package_data, "STARTER_DATA", damaged)
    assert main(["caption", str(image)]) == 2
    assert "step.onnx" in capsys.readouterr().err
    (damaged / "manifest.json").write_text("{")
    assert main(["caption", str(image)]) == 2
    assert "manifest.json" in capsys.readouterr().err


def test_captioning_loads_no_training_stack(starter, image):
    code = (
        "import sys, pathlib, capsmith.core.starter as s; s.STARTER_DATA = pathlib.Path(sys.argv[1])\n"
        "from capsmith.cli import main\n"
        "code = main(['caption', sys.argv[2]])\n"
        f"print(code, sorted(set({HEAVY}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(starter), str(image)], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "0 []"


def test_the_data_is_part_of_the_package():
    assert package_data.STARTER_DATA.parent.parent == Path(package_data.__file__).parent.parent
    if package_data.has_starter():
        assert "trained on" in introduction()
        assert sum(path.stat().st_size for path in package_data.STARTER_DATA.iterdir()) <= 14e6


def test_without_a_run_a_folder_of_that_name_does_not_count(starter, image, tmp_path, capsys):
    (tmp_path / "starter").mkdir()
    assert main(["caption", str(image)]) == 0
    assert capsys.readouterr().out.endswith(f"\t{Runtime.load(starter).caption(image).text}\n")
