"""A run records the plugins it requires, and never loads them by itself."""

import json
import shutil

import pytest

from capsmith import Captioner, load_config, load_plugin, train
from capsmith.cli import main
from capsmith.core.errors import CheckpointError
from capsmith.core.plugin_requirements import write_requirements
from capsmith.models.run import RunDirectory
from tests.support import plugin_files, toy
from tests.support.plugin_files import config_file

pytestmark = pytest.mark.usefixtures("isolated_plugins")


@pytest.fixture
def foreign(place):
    """A run from somebody else whose decoder is a plugin that writes a file when it is executed."""
    (path,) = plugin_files.write(place, "my_decoder.py")
    path.write_text(path.read_text() + f"\nopen({str(place / 'EXECUTED')!r}, 'w')\n")
    with plugin_files.forgetting():
        load_plugin(path)
        train(
            load_config(config_file(place, decoder={"type": "gated", "units": 16, "embedding": {"size": 8}})),
            place / "run",
        )
    (place / "EXECUTED").unlink()
    shutil.copy(path, place / "run" / "my_decoder.py")
    return place / "run"


@pytest.mark.parametrize("verb", ["caption", "evaluate"])
def test_a_foreign_run_executes_nothing_and_names_the_required_option(foreign, place, monkeypatch, capsys, verb):
    monkeypatch.chdir(foreign)
    image = [str(place / "data" / "images" / "red_ball.png")] if verb == "caption" else []
    assert main([verb, str(foreign), *image]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "decoder 'gated'" in message and "add --plugin my_decoder.py" in message
    with pytest.raises(CheckpointError, match="capsmith.load_plugin"):
        Captioner.load(foreign)
    assert not (place / "EXECUTED").exists()
    assert main([verb, str(foreign), *image, "--plugin", str(place / "my_decoder.py")]) == 0


def test_another_version_of_a_plugin_is_reported_and_used(foreign, place, capsys):
    path, image = place / "my_decoder.py", str(place / "data" / "images" / "red_ball.png")
    path.write_text(path.read_text() + "\n# mended\n")
    assert main(["caption", str(foreign), image, "--plugin", str(path)]) == 0
    message = capsys.readouterr().err
    assert message.count("note: ") == 1 and "'gated'" in message and load_plugin(path).sha256[:12] in message


def test_captioning_requires_only_the_plugins_it_uses(place, capsys):
    rows = [f"images/{row['image']}|{row['caption']}\n" for row in toy.rows()]
    (place / "data" / "captions.txt").write_text("".join(rows))
    run, image = place / "run", str(place / "data" / "images" / "red_ball.png")
    config = config_file(
        place,
        data={"type": "bars", "root": str(place / "data")},
        decoding={"type": "longest"},
        evaluation={"metrics": ["precision"]},
    )
    with plugin_files.forgetting():
        options = [part for path in plugin_files.write(place) for part in ("--plugin", str(path))]
        assert main(["train", "--config", config, "--run", str(run), *options]) == 0
    capsys.readouterr()
    assert main(["caption", str(run), image, "--set", "decoding.type=greedy"]) == 0
    assert main(["caption", str(run), image]) == 2
    error = capsys.readouterr().err
    assert "decoding 'longest'" in error and "--plugin" in error
    assert main(["evaluate", str(run)]) == 2
    message = capsys.readouterr().err
    for name in ("my_dataset.py", "my_search.py", "my_metric.py"):
        assert f"--plugin {name}" in message


def test_a_component_registered_in_a_notebook_is_named_as_such(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    need = {"kind": "decoder", "name": "mine", "plugin": "__main__", "sha256": ""}
    (run / "plugins.json").write_text(json.dumps({"format": 1, "needs": [need]}))
    assert main(["caption", str(run), "x.png"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "decoder 'mine'" in message and "--plugin" not in message


def test_a_resumed_run_without_plugins_removes_the_requirement(tiny_run, tmp_path):
    """The requirements file is removed when training resumes with a built-in search."""
    run = shutil.copytree(tiny_run.run, tmp_path / "run")
    (run / "plugins.json").write_text("{}")
    write_requirements(load_config(run / "config.yaml").components(), RunDirectory(run).plugins)
    assert not (run / "plugins.json").exists()
