"""Removes the new files of a training that fails before its first batch."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from capsmith.models.run import RunDirectory


class FirstSteps:
    """The files and folders that a training creates in its run directory before it trains.

    Args:
        run: The run directory, before the training writes to it.
        encoders: Number of encoders.
    """

    def __init__(self, run: RunDirectory, encoders: int = 1) -> None:
        self.run = run
        files = [run.lock, run.log, *run.written_before_training(encoders)]
        self.new_files = [path for path in files if not path.exists()]
        inside = dict.fromkeys(path.parent for path in files if path.parent != run.path)
        self.new_folders = [folder for folder in (*inside, run.path, *run.path.parents) if not folder.exists()]

    @contextlib.contextmanager
    def undone_on_failure(self, logged: Sequence[RunDirectory] = ()) -> Iterator[None]:
        """Removes the new files, and the new folders that are then empty, after an error before the first batch.

        Args:
            logged: Other runs whose training is logged in this run, such as stage one: once one of them has saved a
                state, nothing is removed.
        """
        try:
            yield
        except Exception:
            started = [
                self.run.captioner,
                self.run.state,
                self.run.weights,
                self.run.embedding,
                *(run.state for run in logged),
            ]
            if not any(path.exists() for path in started):
                self._undo()
            raise

    def _undo(self) -> None:
        path: Path
        for path in self.new_files:
            with contextlib.suppress(OSError):
                path.unlink()
        for path in self.new_folders:
            with contextlib.suppress(OSError):  # it holds other files
                path.rmdir()
