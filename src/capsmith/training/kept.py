"""Files of a run without which nothing can go on from its state, even if somebody removes them meanwhile."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from capsmith.captioner import WEIGHTS
from capsmith.runs import Log, atomic

_KINDS = {".yaml", ".json", ".h5", ".keras"}


class KeptFiles:
    """What a training finds in its run directory when it begins: config, vocabulary, versions, encoder.

    Each is held open, so that it can be read and written again after it was removed.

    Args:
        run: The run directory.
        log: Takes a line for people when something is written again.
    """

    def __init__(self, run: Path, log: Log) -> None:
        self.run, self.log = run, log
        self._stack = ExitStack()
        found = [path for path in run.rglob("*") if path.suffix in _KINDS and path.is_file()]
        own = [path for path in found if path.name != WEIGHTS and path.relative_to(run).parts[0] != "report"]
        self._held = {path: self._stack.enter_context(path.open("rb")) for path in sorted(own)}

    def __enter__(self) -> "KeptFiles":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def restore(self) -> None:
        """Writes again what is gone.

        Raises:
            CapsmithError: It cannot be written.
        """
        gone = [path for path in self._held if not path.is_file()]
        for path in gone:
            self._held[path].seek(0)
            with atomic(path, "wb") as file:
                shutil.copyfileobj(self._held[path], file)
        if gone:
            names = ", ".join(str(path.relative_to(self.run)) for path in gone)
            self.log(f"{names} had been removed from {self.run}: written again")
