"""The button: a process that learns the corrections, found again by a restarted studio, and stopped."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from capsmith.cli import main
from capsmith.deploy.studio.retrain import Retrain
from capsmith.deploy.studio.retrain_state import (
    RetrainBusy,
    RetrainState,
    is_locked,
    read_state,
    retraining,
    write_state,
)
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.projects import opened
from tests.support import retouched, shapes

HOLD = """
import sys, time
from pathlib import Path
from capsmith.deploy.studio.retrain_state import retraining
with retraining(Path(sys.argv[1]), Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


def wait_for(status, wanted, seconds=240):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = status()
        if wanted(found):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of images whose captions are corrected in a studio; its model is the captioner of shapes."""
    folder = retouched.make_images(tmp_path_factory.mktemp("photos"))
    with opened(folder) as store:
        store.keep_model([str(shapes.trained())])
        captions = retouched.corrections()
        for image in store.images(limit=1000).images:
            store.edit(image.id, captions[image.name], "edited", image.revision)
    return folder


@pytest.fixture
def project(tmp_path):
    return tmp_path


def test_it_learns_and_a_restarted_studio_sees_it(photos):
    project = photos / ".capsmith-studio"
    button = Retrain(project, retouched.LEARN)
    assert button.status() == {
        "state": "none",
        "message": "",
        "progress": 0.0,
        "run": None,
        "before": None,
        "after": None,
    }
    assert button.start()["state"] == "running"
    with pytest.raises(RetrainBusy):
        button.start()
    restarted = Retrain(project)
    seen = wait_for(restarted.status, lambda now: now["before"] is not None)
    assert seen["before"]["new"]["cider"] < 1 and seen["after"] is None
    with pytest.raises(RetrainBusy):
        restarted.start()
    end = wait_for(restarted.status, lambda now: now["state"] != "running")
    assert (end["state"], end["progress"], end["run"]) == ("done", 1.0, str(project / "runs" / "1")), end
    assert end["after"]["new"]["cider"] > 8 and end["after"]["old"]["cider"] > 6
    assert button.status() == end


def test_it_stops_before_the_training_begins(photos):
    """The process is killed so early that it cannot save how it ended."""
    project = photos / ".capsmith-studio"
    button = Retrain(project, retouched.LEARN[1:])
    button.start()
    wait_for(lambda: read_state(project), lambda now: now is not None and now.state == "running")
    assert button.stop(wait=0)["state"] == "stopped" and not is_locked(project)


def test_it_stops_before_the_process_begins(photos):
    project = photos / ".capsmith-studio"
    before = Retrain(project).status()
    button = Retrain(project, retouched.LEARN[1:])
    button.start()
    assert button.stop(wait=0) == before and not is_locked(project)


def test_it_stops_and_goes_on(photos):
    project = photos / ".capsmith-studio"
    button = Retrain(project, [*retouched.LEARN[1:], "training.epochs=2000", "training.patience=null"])
    button.start()
    run = wait_for(button.status, lambda now: now["progress"] > 0.1)["run"]
    stopped = Retrain(project).stop()
    assert stopped["state"] == "stopped" and not is_locked(project)
    rows = len((project / "runs" / os.path.basename(run) / "history.csv").read_text().splitlines())
    again = button.start(resume=True)
    assert again["state"] == "running"
    process = wait_for(lambda: read_state(project), lambda now: now.state == "running" and is_locked(project)).process
    history = os.path.join(run, "history.csv")
    wait_for(lambda: len(open(history).read().splitlines()), lambda now: now > rows)
    os.kill(process, signal.SIGKILL)
    killed = wait_for(button.status, lambda now: now["state"] != "running")
    assert killed["state"] == "failed" and killed["run"] == run


def test_a_mistake_becomes_a_message(photos):
    button = Retrain(photos / ".capsmith-studio", ["training.epohcs=3"])
    button.start()
    end = wait_for(button.status, lambda now: now["state"] != "running")
    assert end["state"] == "failed" and "epohcs" in end["message"] and "\n" not in end["message"]


def test_the_lock_is_that_of_the_process(project):
    assert not is_locked(project) and read_state(project) is None
    command = [sys.executable, "-c", HOLD, str(project), str(project / "runs" / "7")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert is_locked(project) and read_state(project).process == holder.pid
        assert Retrain(project).status()["state"] == "running"
        with pytest.raises(RetrainBusy), retraining(project, project / "runs" / "8"):
            pass
        holder.kill()
    assert not is_locked(project)
    assert Retrain(project).status()["state"] == "failed"


def test_how_it_ended_is_kept(project):
    for error, state in ((None, "done"), (ValueError("one\ntwo"), "failed"), (KeyboardInterrupt(), "stopped")):
        try:
            with retraining(project, project / "run"):
                if error is not None:
                    raise error
        except (ValueError, KeyboardInterrupt):
            pass
        found = read_state(project)
        assert (found.state, found.message) == (state, "one; two" if state == "failed" else "")
        assert found.run == str(project / "run")


@pytest.mark.parametrize("text", ["", "[]", '{"run": 1}', '{"run": "a", "process": "b"}', "\0", '{"state": {}}'])
def test_a_damaged_state_counts_as_none(project, text):
    write_state(project, RetrainState("run", 1, "done"))
    assert Retrain(project).status()["state"] == "done"
    (project / "retrain.json").write_text(text)
    assert Retrain(project).status()["state"] == "none"


def test_a_damaged_gain_is_no_gain(project):
    write_state(project, RetrainState(str(project / "run"), 1, "done"))
    (project / "run").mkdir()
    for text in ("[", json.dumps({"before": 3, "after": {"new": 1}})):
        (project / "run" / "retrain.json").write_text(text)
        found = Retrain(project).status()
        assert (found["before"], found["after"]) == (None, None)


def test_mistakes_are_one_line(photos, tmp_path, capsys):
    """Exit code 2 and one line on standard error, whatever is wrong with the project."""
    empty, broken, few = tmp_path / "empty", tmp_path / "broken", tmp_path / "few"
    empty.mkdir()
    (broken / ".capsmith-studio").mkdir(parents=True)
    (broken / ".capsmith-studio" / "studio.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    retouched.make_images(few)
    with opened(few) as store:
        for image in store.images(limit=3).images:
            store.edit(image.id, "a golden thing", "edited", image.revision)
    run = ["--run", str(tmp_path / "run")]
    cases = {
        "not a studio project": [str(empty)],
        str(broken): [str(broken)],
        "which model": [str(few)],
        "at least 10": [str(few), "--set", f"training.transfer_from={shapes.trained()}"],
        "ensemble": [str(few), "--set", f"training.transfer_from={ensemble(tmp_path)}"],
        "nowhere": [str(photos), "--set", "training.transfer_from=nowhere"],
        "--smoke": [str(photos), "--smoke"],
        "--config": [str(photos), "--config", "quickstart.yaml"],
    }
    for says, arguments in cases.items():
        assert main(["train", "--from-studio", *arguments, *run]) == 2, says
        out, err = capsys.readouterr()
        last = err.strip().splitlines()[-1]
        assert says in last and "Traceback" not in err and out == "", (says, err)
        assert not (tmp_path / "run").exists()
    assert main(["train"]) == 2
    assert "--from-studio" in capsys.readouterr().err


def ensemble(folder):
    path = folder / "both.yaml"
    path.write_text(f"members: [{shapes.trained()}, {shapes.trained()}]\n")
    return path


def test_a_project_is_read_while_a_studio_has_it_open(photos, tmp_path, capsys):
    with Store.open(photos / ".capsmith-studio", photos):
        assert main(["train", "--from-studio", str(photos), "--run", str(tmp_path), "--set", "seed=x"]) == 2
    assert "seed" in capsys.readouterr().err
