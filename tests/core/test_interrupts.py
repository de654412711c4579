"""Ctrl-C and similar signals end a process at any moment without a traceback; a training saves its state first."""

import os
import signal
import subprocess
import sys
import time

import pytest

from capsmith.core import interrupts
from capsmith.training.signals import stop_signals
from tests.support import toy

DELAYS = [step / 50 for step in range(21)]  # 0 to 0.4 s
PYTHONS_OWN = 3  # tracebacks of Python's own startup, before capsmith can catch them


RUNNING = []


@pytest.fixture(autouse=True)
def nothing_left_running():
    """Ends processes that a failed test left running."""
    yield
    while RUNNING:
        process = RUNNING.pop()
        process.kill()
        process.wait()


def started(*arguments, **more):
    process = subprocess.Popen(
        [sys.executable, "-m", "capsmith", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )
    RUNNING.append(process)
    return process


def test_no_traceback_at_any_moment(tiny_run):
    own = 0
    for delay in DELAYS:
        process = started("caption", tiny_run.run, tiny_run.data / "images" / "red_ball.png")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        if "Traceback" in errors and os.sep + "capsmith" + os.sep not in errors:
            own += 1  # within site or runpy, before capsmith was imported
            continue
        assert "Traceback" not in errors and "Exception" not in errors, (delay, errors)
        assert process.returncode in (130, -signal.SIGINT), (delay, process.returncode, errors)  # -2: before Python ran
    assert own <= PYTHONS_OWN


def test_an_interrupted_import_ends_the_process(tmp_path):
    """Some libraries catch every exception during import; the process must end nevertheless."""
    (tmp_path / "greedy.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(5)\n"
        "except BaseException:\n    pass\nprint('went on')\n"
    )
    code = (
        "import signal\nfrom capsmith.core import interrupts\ninterrupts.exit_quietly()\n"
        "signal.signal(signal.SIGINT, interrupts.interrupt)\nimport greedy\nprint('went on')"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.fixture
def endless(tmp_path, tiny_run):
    settings = toy.settings(tiny_run.data, tiny_run.cache)
    settings["training"] |= {"epochs": 100_000, "patience": None}
    return ["train", "--config", toy.write_config(tmp_path / "toy.yaml", settings), "--run", tmp_path / "run"]


def wait_for(process, text):
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"{text} was never said")


def test_a_closed_terminal_ends_a_training_that_saves_its_state(endless, tmp_path):
    process = started(*endless)
    wait_for(process, "epoch 2/")
    for _ in range(2):  # one from the terminal, one from its shell
        process.send_signal(signal.SIGHUP)
    process.stderr.close()  # as when the terminal is closed
    assert process.wait(60) == 128 + signal.SIGHUP
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "SIGHUP" in log and str(tmp_path / "run") in log.splitlines()[-1]
    assert (tmp_path / "run" / "state.npz").exists()


def test_nohup_is_active_signals(endless, tmp_path):
    process = started(*endless, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for(process, "epoch 1/")
    process.send_signal(signal.SIGHUP)
    wait_for(process, "epoch 3/")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGHUP" not in (tmp_path / "run" / "log.txt").read_text()


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in interrupts.active_signals() and signal.SIGTERM in interrupts.active_signals()
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_hangup_is_ignored_but_a_second_ctrl_c_is_not():
    with stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.signal == signal.SIGHUP
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
