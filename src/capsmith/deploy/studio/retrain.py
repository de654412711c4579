"""The studio's button: starts ``capsmith train --from-studio`` as a process of its own, and reports on it.

The process outlives the studio: one that was restarted finds it by the files in the project folder.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError
from capsmith.core.readers.json_files import read_json
from capsmith.core.readers.number_tables import read_number_table
from capsmith.deploy.studio.project import StudioError
from capsmith.deploy.studio.retrain_state import (
    ENDED,
    RetrainBusy,
    RetrainState,
    is_locked,
    read_state,
    write_state,
)
from capsmith.models.run import RunDirectory

LOG, RUNS = "retrain.log", "runs"
_GAIN = "retrain.json"  # in the run; see training/retraining/gain.py
_MEASURED = 0.1  # share of the progress until the old model is measured; training takes as far as _TRAINED
_TRAINED = 0.9
_KILLED = 10.0  # seconds after which a killed process is surely gone
_LAST = 4096  # bytes of the log in which the last message is looked for


class Retrain:
    """The retraining of one project. Its methods may be called by any thread.

    Args:
        project: The project folder.
        overrides: Changes to the config for ``--set``, such as ``training.transfer_from=RUN``.
    """

    def __init__(self, project: Path, overrides: Sequence[str] = ()) -> None:
        self.project, self.overrides = project.absolute(), tuple(overrides)
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def start(self, resume: bool = False) -> dict[str, Any]:
        """Starts a retraining into a new run in the project, or continues the one that was stopped.

        Returns:
            The status.

        Raises:
            RetrainBusy: One runs already.
            StudioError: The process cannot be started.
        """
        with self._guard:
            if self._running():
                raise RetrainBusy("the corrections are being learned already: wait, or stop it first")
            last = read_state(self.project)
            again = resume and last is not None and last.state != "done" and RunDirectory(Path(last.run)).has_state
            run = Path(last.run) if again and last is not None else self._new_run()
            command = [sys.executable, "-m", "capsmith", "train", "--from-studio", str(self.project), "--run", str(run)]
            command += [part for override in self.overrides for part in ("--set", override)]
            try:
                with (self.project / LOG).open("wb") as log:
                    self._child = subprocess.Popen(  # noqa: S603  our own command, no shell
                        [*command, *(["--resume"] if again else [])],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,  # it outlives the studio
                        env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    )
            except OSError as error:
                raise StudioError(f"cannot start the retraining: {error.strerror or error}") from error
        return self.status()

    def stop(self, wait: float = 20.0) -> dict[str, Any]:
        """Stops a retraining after its batch; its state is saved. Does nothing if none runs.

        Args:
            wait: Seconds to wait for the end before the process is killed.

        Returns:
            The status.
        """
        with self._guard:
            process = self._process()
            if process is not None:
                self._end(process, wait)
                last = read_state(self.project)
                if last is None or last.process != process:  # it had not begun
                    self._child = None
                elif last.state == "running" and not self._running():  # it could not say how it ended
                    write_state(self.project, replace(last, state="stopped"))
        return self.status()

    def status(self) -> dict[str, Any]:
        """Returns where the last retraining stands.

        Returns:
            ``state`` (none, running, done, failed or stopped), ``message``, ``progress`` from 0 to 1, ``run``, and
            ``before`` and ``after``: the scores by domain (``new``, ``old``), or None until they are measured.
        """
        running = self._running()
        last, child = read_state(self.project), self._child
        if last is not None and last.state in ENDED and child is not None and last.process == child.pid:
            running = False  # it ended between the two looks
        if child is not None and (last is None or last.process != child.pid):
            if running:
                return _status("running", "starting", 0.0)
            if child.poll():
                return _status("failed", self._last_message(), 0.0)
        if last is None:
            return _status("none", "", 0.0)
        run = RunDirectory(Path(last.run))
        gain = _gain(run)
        if running:
            message, progress = _stage(run, gain)
            return _status("running", message, progress, last.run, gain)
        if last.state == "running":  # it was killed
            return _status("failed", "the training ended unexpectedly: start it again", 0.0, last.run, gain)
        progress = 1.0 if last.state == "done" else 0.0
        return _status(last.state, last.message, progress, last.run, gain)

    # --- private -----------------------------------------------------------------------------------------------------

    def _running(self) -> bool:
        return self._living_child() is not None or is_locked(self.project)

    def _living_child(self) -> int | None:
        """Returns the number of this studio's own process, unless it ended or only has to exit."""
        child = self._child
        if child is None or child.poll() is not None:
            return None
        last = read_state(self.project)
        ended = last is not None and last.process == child.pid and last.state in ENDED
        return None if ended else child.pid

    def _process(self) -> int | None:
        """Returns the number of the process that retrains, if there is one."""
        if (child := self._living_child()) is not None:
            return child
        last: RetrainState | None = read_state(self.project)
        return last.process if last is not None and is_locked(self.project) else None

    def _end(self, process: int, wait: float) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGTERM)
            until = time.monotonic() + wait
            while self._running() and time.monotonic() < until:
                time.sleep(0.05)
            if self._running():
                os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
                while self._running() and time.monotonic() < until + _KILLED:
                    time.sleep(0.05)

    def _new_run(self) -> Path:
        runs = self.project / RUNS
        number = 1
        while os.path.lexists(runs / str(number)):
            number += 1
        return runs / str(number)

    def _last_message(self) -> str:
        try:
            tail = (self.project / LOG).read_bytes()[-_LAST:].decode("utf-8", "replace")
        except OSError:
            tail = ""
        lines = [line for line in tail.splitlines() if line.startswith("capsmith: ")]
        return lines[-1].removeprefix("capsmith: ") if lines else "the training could not start"


def _status(
    state: str, message: str, progress: float, run: str | None = None, gain: dict[str, Any] | None = None
) -> dict[str, Any]:
    before, after = (_domains(gain.get(key)) if gain else None for key in ("before", "after"))
    return {
        "state": state,
        "message": message,
        "progress": round(progress, 3),
        "run": run,
        "before": before,
        "after": after,
    }


def _domains(scores: Any) -> dict[str, Any] | None:
    """Returns the scores of both domains; None if they are not measured yet."""
    if not isinstance(scores, dict) or not isinstance(scores.get("new"), dict):
        return None
    return {"new": scores["new"], "old": scores.get("old")}


def _gain(run: RunDirectory) -> dict[str, Any] | None:
    try:
        values = read_json(run.path / _GAIN, StudioError)
    except CapsmithError:
        return None
    return values if isinstance(values, dict) else None


def _stage(run: RunDirectory, gain: dict[str, Any] | None) -> tuple[str, float]:
    """Returns what a running retraining does, and its progress."""
    if gain is None or not gain.get("before"):
        return "measuring the old model", 0.0
    epochs, most = _epochs(run), gain.get("epochs")
    share = min(1.0, epochs / most) if type(most) is int and most > 0 else 0.0
    message = f"learning: pass {epochs + 1} of {most} at most" if share < 1 else "measuring the new model"
    return message, _MEASURED + (_TRAINED - _MEASURED) * share


def _epochs(run: RunDirectory) -> int:
    try:
        return len(read_number_table(run.history, StudioError, ""))
    except CapsmithError:
        return 0
