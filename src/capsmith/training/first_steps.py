"""A training that fails before its first batch leaves no run directory behind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from capsmith.core.locks import FILE as LOCK
from capsmith.training.kept import parts_of

_BEGUN = ("captioner.json", "state.npz", "model.weights.h5")


class FirstSteps:
    """What a training makes of its run directory before it begins to learn.

    Args:
        run: The run directory, before anything was done to it.
        encoders: How many encoders the training has.
    """

    def __init__(self, run: Path, encoders: int = 1) -> None:
        self.run = run
        made = [run / LOCK, run / "log.txt", *parts_of(run, encoders)]
        self.files = [path for path in made if not path.exists()]
        within = dict.fromkeys(path.parent for path in made if path.parent != run)
        self.folders = [folder for folder in (*within, run, *run.parents) if not folder.exists()]

    @contextlib.contextmanager
    def undone_on_failure(self, kept: Path | None = None) -> Iterator[None]:
        """Removes these files, and folders that are then empty, where an error comes before the first batch.

        Args:
            kept: A state whose training the log tells of, such as the first stage's: where it is, nothing is removed.
        """
        try:
            yield
        except Exception:
            begun = [self.run / name for name in _BEGUN] + ([kept] if kept is not None else [])
            if not any(path.exists() for path in begun):
                self._undo()
            raise

    def _undo(self) -> None:
        for file in self.files:
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()  # which fails where there is more in it
