"""The run directory: the name of every file that a training writes, its lock, and the removal of these files."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capsmith.core.errors import CheckpointError
from capsmith.core.files import path_argument
from capsmith.core.locks import FILE as LOCK_FILE
from capsmith.core.locks import locked
from capsmith.core.outputs import COPIES, REPORT_FILES, listed_copies
from capsmith.retrieval import judge_file
from capsmith.retrieval.index_file import index_path, index_paths
from capsmith.vision.encoder_folder import EncoderFolder, FileName, encoder_folders


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run, which need not exist.

    Attributes:
        path: The directory.
    """

    path: Path

    config = FileName("config.yaml")
    """The resolved config, with all defaults."""
    vocabulary = FileName("vocabulary.json")
    captioner = FileName("captioner.json")
    """Format version, feature shape, vocabulary fingerprint, and the origin of features from a pickle."""
    weights = FileName("model.weights.h5")
    """Weights of the best dev epoch."""
    embedding = FileName("embedding.npz")
    """The best dev epoch of a joint embedding, which has no other weights."""
    state = FileName("state.npz")
    """Weights, optimizer, seeds and progress from which ``--resume`` continues."""
    versions = FileName("versions.json")
    plugins = FileName("plugins.json")
    history = FileName("history.csv")
    history_plot = FileName("history.png")
    log = FileName("log.txt")
    domain = FileName("domain.npz")
    """Summary of the training images, for out-of-domain warnings."""
    caption_judge = FileName(judge_file.FILE)
    """Copy of the joint embedding that reranks captions, with ``caption_judge.json``."""
    test_readings = FileName("test_readings.jsonl")
    """One line for each evaluation of the test split. It is never removed."""
    ensemble = FileName("ensemble.yaml")
    """Members of a saved ensemble, which has no weights of its own."""
    report = FileName("report")
    """Folder of the test report; it contains the reports of other splits and of ensembles."""
    stage_one = FileName("start")
    """Folder of the first stage of a smoke run."""
    lock = FileName(LOCK_FILE)

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def named(cls, path: str | Path, what: str = "run") -> "RunDirectory":
        """Returns the run at a path from the user.

        Raises:
            ConfigError: The path is empty.
        """
        return cls(path_argument(path, what))

    def encoders(self, count: int) -> list[EncoderFolder]:
        """Returns the folder of each of ``count`` encoders."""
        return encoder_folders(self.path, count)

    def pretrained_encoders(self, count: int) -> list[Path]:
        """Returns the folders into which a smoke run pretrains its ``count`` encoders."""
        return [self.path / f"adapted_{number + 1}" for number in range(count)]

    def member(self, number: int) -> Path:
        """Returns the folder of a member of a saved ensemble, or of an ensemble in a smoke run; counted from 1."""
        return self.path / f"member_{number}"

    # --- which files exist ---------------------------------------------------------------------------------------

    @property
    def is_run(self) -> bool:
        """Whether the directory holds the config of a run."""
        return self.config.is_file()

    @property
    def is_ensemble(self) -> bool:
        """Whether the directory holds a saved ensemble."""
        return self.ensemble.is_file()

    @property
    def has_best(self) -> bool:
        """Whether the directory holds the model of a finished epoch."""
        return self.weights.exists() or self.embedding.exists()

    @property
    def has_state(self) -> bool:
        """Whether the directory holds a training that can be resumed."""
        return self.state.exists()

    def require(self) -> None:
        """Checks that the directory is a run.

        Raises:
            CheckpointError: The directory does not exist, or has no config.
        """
        if not self.path.is_dir():
            raise CheckpointError(f"no run directory {self} (`capsmith train --run DIR` creates one)")
        if not self.is_run:
            raise CheckpointError(f"{self} is not a run: it has no {self.config.name}")

    def require_complete(self) -> None:
        """Checks that the directory has every file that loading needs, except the weights and the encoder.

        Raises:
            CheckpointError: The directory is not a run, or files are missing; the message names them.
        """
        self.require()
        if missing := [path.name for path in (self.vocabulary, self.captioner) if not path.is_file()]:
            raise CheckpointError(f"{self} is incomplete: it lacks {', '.join(missing)}; copy or train the run again")

    @property
    def caption_index(self) -> Path:
        """Captions and vectors of training images, for nearest-neighbour reranking."""
        return index_path(self.path)

    @property
    def files(self) -> list[Path]:
        """All files that a training writes into the run, including those of a single encoder."""
        own = (
            *(self.config, self.versions, self.vocabulary, self.captioner, self.weights, self.state, self.plugins),
            *(self.embedding, *(self.path / name for name in judge_file.FILES)),
            *(*index_paths(self.path), self.domain, self.history, self.history_plot, self.log),
        )
        return [*own, *EncoderFolder(self.path).files]

    def written_before_training(self, encoders: int) -> list[Path]:
        """Returns the files that a training with ``encoders`` encoders writes before its first batch."""
        own = [self.captioner, self.config, self.plugins, self.versions, self.vocabulary]
        return [*own, *(path for folder in self.encoders(encoders) for path in folder.files_in_run)]

    def foreign_file(self) -> Path | None:
        """Returns a file with the name of a run file that no training wrote, or None."""
        if self.versions.exists():
            return None
        candidates = [self.config] if self.lock.exists() else self.files
        return next((path for path in candidates if os.path.lexists(path)), None)

    # --- writing -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the existing directory against other trainings.

        Raises:
            CheckpointError: Another process is training into it, or the lock cannot be written.
        """
        busy = f"another process is training into {self}: wait for it, or choose another --run"
        with locked(self.path, busy, CheckpointError):
            yield

    def clear(self) -> None:
        """Removes all files of the run and of its reports, but no other file; the lock and test readings stay.

        Raises:
            CheckpointError: A file cannot be removed.
        """
        patterns = ("encoder_*", "adapted_*", "member_*", self.stage_one.name)
        reports = (self.report.name, f"{self.report.name}/*", f"{self.report.name}/*/images")
        folders = {path for pattern in (*patterns, *reports) for path in self.path.glob(pattern)}
        try:
            for folder in sorted(folders, reverse=True):  # contents before their folder
                if folder.is_dir() and not folder.is_symlink():
                    self._clear_folder(folder)
            for path in self.files:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot clear {self}: {error.strerror or error}") from error

    def _clear_folder(self, folder: Path) -> None:
        if folder == self.stage_one or folder.name.startswith("member_"):
            RunDirectory(folder).clear()
        for name in self._written_in(folder):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds other files
            folder.rmdir()

    def _written_in(self, folder: Path) -> list[str]:
        """Returns the names of the files that capsmith writes in a folder of a run."""
        if folder.name == "images":
            copies = listed_copies(folder)
            return [] if copies is None else [*copies, COPIES]
        if self.report in (folder, folder.parent):
            return [*REPORT_FILES]
        return [*(path.name for path in self.files), LOCK_FILE]
