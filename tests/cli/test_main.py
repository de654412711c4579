"""Behaviour that all verbs of the command line share."""

import importlib
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import capsmith
from capsmith import cli
from capsmith.cli import VERBS, main, train_main
from capsmith.core.errors import ConfigError

HELP_WITHOUT_KERAS = """
import contextlib, io, sys
from capsmith.cli import VERBS, main
for arguments in (["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)):
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):
            main(arguments)
    except SystemExit as end:
        assert end.code == 0, arguments
    assert len(shown.getvalue()) > 10, arguments
assert main(["validate", "--quiet", "--no-files", "--config", "flickr8k"]) == 0
assert main(["list", "encoders"]) == 0
found = {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
assert not found, found
"""


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def test_help_validate_and_list_load_no_keras():
    done = python("-c", HELP_WITHOUT_KERAS)
    assert done.returncode == 0, done.stderr


def test_python_m_capsmith_runs_the_command_line():
    done = python("-m", "capsmith", "--version")
    assert (done.returncode, done.stdout) == (0, f"capsmith {capsmith.__version__}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module(verb, capsys):
    module = importlib.import_module(f"capsmith.cli.{verb}")
    assert module.__doc__.startswith(f"``capsmith {verb}``")
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert f"usage: capsmith {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["evaluate"], ["list", "nothing"], ["train", "--nonsense"]])
def test_a_usage_error_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: capsmith" in capsys.readouterr().err


def test_train_needs_a_config_or_a_studio(capsys):
    assert main(["train"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--config" in line and "--from-studio" in line


def replace_validate(monkeypatch, action):
    """Replaces the ``run`` function of ``capsmith validate``."""
    real = importlib.import_module

    def load(name):
        module = real(name)
        return SimpleNamespace(add_arguments=module.add_arguments, run=action) if name.endswith(".validate") else module

    monkeypatch.setattr(cli.importlib, "import_module", load)


def raising(error):
    def action(args):
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("seed: too large"), 2, "capsmith: seed: too large\n"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 2, "capsmith: x.csv: No such file or directory\n"),
        (OSError(28, "No space left on device"), 2, "capsmith: [Errno 28] No space left on device\n"),
        (MemoryError(), 2, "capsmith: out of memory: "),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), 2, "capsmith: out of memory: close"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "capsmith: out of memory: close"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt(15), 143, "interrupted\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(monkeypatch, capsys, error, code, message):
    replace_validate(monkeypatch, raising(error))
    assert main(["validate", "--config", "x"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith(message)
    assert shown.count("\n") == 1


def test_sigterm_ends_a_verb_as_ctrl_c_does(monkeypatch, capsys):
    """Also outside the training loop, which has its own signal handling."""
    before, closed = signal.getsignal(signal.SIGTERM), []

    def action(args):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            closed.append(True)

    replace_validate(monkeypatch, action)
    assert main(["validate", "--config", "x"]) == 143
    assert closed and capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_debug_shows_the_traceback(monkeypatch):
    replace_validate(monkeypatch, raising(ConfigError("x")))
    with pytest.raises(ConfigError):
        main(["validate", "--config", "x", "--debug"])


def test_a_bug_is_not_hidden(monkeypatch):
    replace_validate(monkeypatch, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["validate", "--config", "x"])


def test_the_return_value_of_a_verb_is_the_exit_code(monkeypatch):
    for value, code in ((None, 0), (0, 0), (2, 2)):
        replace_validate(monkeypatch, lambda args, value=value: value)
        assert main(["validate", "--config", "x"]) == code


def test_a_closed_pipe_is_not_an_error():
    done = subprocess.run(
        f"{sys.executable} -m capsmith list encoders | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_the_train_script_is_capsmith_train(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", "--config", "no_such"])
    assert train_main() == 2
    assert capsys.readouterr().err.startswith("capsmith: no config no_such")


def test_an_unknown_backend_is_a_one_line_error():
    code = "import sys; from capsmith.cli import main; sys.exit(main(['extract', '--config', 'folder']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**dict(cli.os.environ), "KERAS_BACKEND": "nonsense"},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("capsmith: cannot load Keras with KERAS_BACKEND=nonsense: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_core_package_is_named_in_one_line():
    code = "import sys; sys.modules['pydantic'] = None; from capsmith.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python("-c", code, "validate", "--config", "quickstart.yaml")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "pydantic" in done.stderr and "pip install capsmith" in done.stderr
