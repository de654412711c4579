"""A training that fails before its first batch leaves no run directory behind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from capsmith.captioner import WEIGHTS
from capsmith.locks import FILE as LOCK

_MADE = (LOCK, "log.txt", "config.yaml", "plugins.json", "versions.json")
_BEGUN = ("captioner.json", "state.npz", WEIGHTS)


class FirstSteps:
    """What a training makes of its run directory before it begins to learn.

    Args:
        run: The run directory, before anything was done to it.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.folders = [folder for folder in (run, *run.parents) if not folder.exists()]
        self.files = [run / name for name in _MADE if not (run / name).exists()]

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
        with contextlib.suppress(OSError):
            for file in self.files:
                file.unlink(missing_ok=True)
            for folder in self.folders:
                folder.rmdir()  # which fails where there is more in it
