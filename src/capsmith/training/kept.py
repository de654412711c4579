"""Files of a run without which nothing can go on from its state, even if somebody removes them meanwhile."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from capsmith.core.files import atomic
from capsmith.core.log import get_logger
from capsmith.vision.encoder_folder import encoder_folders

logger = get_logger(__name__)

_OWN = ("captioner.json", "config.yaml", "plugins.json", "versions.json", "vocabulary.json")
_ENCODER = ("adapted.json", "encoder.json", "encoder.keras", "encoder.weights.h5")


def parts_of(run: Path, encoders: int) -> list[Path]:
    """Returns the files that a training with so many encoders writes before it learns, there or not."""
    folder_files = [folder.path / name for folder in encoder_folders(run, encoders) for name in _ENCODER]
    return [*(run / name for name in _OWN), *folder_files]


class KeptFiles:
    """What a training finds in its run directory when it begins: config, vocabulary, versions, encoders.

    AutocastScope ``with`` each is held open, so that it can be read and written again after it was removed.

    Args:
        run: The run directory.
        encoders: How many encoders it has.
    """

    def __init__(self, run: Path, encoders: int) -> None:
        self.run = run
        self.paths = [path for path in parts_of(run, encoders) if path.is_file()]

    def __enter__(self) -> "KeptFiles":
        with ExitStack() as stack:
            self._held: dict[Path, BinaryIO] = {path: stack.enter_context(path.open("rb")) for path in self.paths}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def restore(self) -> None:
        """Writes again what is gone.

        Raises:
            CapsmithError: It cannot be written.
        """
        gone = [path for path in self.paths if not path.is_file()]
        for path in gone:
            self._held[path].seek(0)
            with atomic(path, "wb") as file:
                shutil.copyfileobj(self._held[path], file)
        if gone:
            names = ", ".join(str(path.relative_to(self.run)) for path in gone)
            logger.info(f"{names} had been removed from {self.run}: written again")
