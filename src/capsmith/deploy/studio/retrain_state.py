"""The one retraining of a project: its lock, and the file that says which it is and how it ended.

The process that retrains holds the lock, so a studio that was restarted knows whether it still runs.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from capsmith.core.errors import CapsmithError
from capsmith.core.files import write_json
from capsmith.core.locks import locked
from capsmith.core.readers.json_files import read_json
from capsmith.deploy.studio.project import StudioError

STATE, LOCK = "retrain.json", "retrain.lock"
ENDED = ("done", "failed", "stopped")


class RetrainBusy(StudioError):
    """The project is being retrained by another process."""


@dataclass(frozen=True)
class RetrainState:
    """What is known about the last retraining of a project.

    Attributes:
        run: The new run directory, absolute.
        process: Number of the process.
        state: ``running``, or one of ``ENDED``. A process that was killed leaves ``running``.
        message: Why it failed; empty otherwise.
    """

    run: str
    process: int
    state: str = "running"
    message: str = ""


def read_state(project: Path) -> RetrainState | None:
    """Returns the last retraining of a project; None if there was none, or its file is damaged."""
    try:
        values = read_json(project / STATE, StudioError)
        state = RetrainState(**values)
    except (CapsmithError, TypeError):
        return None
    texts = (state.run, state.state, state.message)
    valid = all(isinstance(text, str) for text in texts) and type(state.process) is int and state.process > 0
    return state if valid and state.state in ("running", *ENDED) else None


def write_state(project: Path, state: RetrainState) -> None:
    """Saves what is known about a retraining, atomically."""
    write_json(project / STATE, asdict(state))


def is_locked(project: Path) -> bool:
    """Returns whether a process retrains the project now."""
    if not (project / LOCK).exists():
        return False
    try:
        with locked(project, "", RetrainBusy, LOCK):
            return False
    except RetrainBusy:
        return True


@contextlib.contextmanager
def retraining(project: Path, run: Path) -> Iterator[None]:
    """Holds the lock of a retraining inside the block, and saves that it runs and how it ended.

    Args:
        project: The project folder.
        run: The new run directory.

    Raises:
        RetrainBusy: Another process retrains the project.
        StudioError: The project cannot be written.
    """
    busy = f"{project} is being retrained by another process: wait for it, or stop it in the studio"
    with locked(project, busy, RetrainBusy, LOCK):
        state = RetrainState(os.path.abspath(run), os.getpid())
        write_state(project, state)
        ending, message = "failed", ""
        try:
            yield
            ending = "done"
        except KeyboardInterrupt:
            ending = "stopped"
            raise
        except Exception as error:
            message = str(error).strip().replace("\n", "; ")[:500] or type(error).__name__
            raise
        finally:
            with contextlib.suppress(CapsmithError):  # the disk is full: the error that ended it matters more
                write_state(project, RetrainState(state.run, state.process, ending, message))
