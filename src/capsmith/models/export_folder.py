"""The folder of an export: the names of its files, and their verification before anything is opened."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capsmith.core.errors import CheckpointError
from capsmith.core.files import path_argument
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import open_regular, read_bytes
from capsmith.core.starter import STARTER, has_starter, model_path, starter_folder
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.export_manifest import ADVICE, MAX_MANIFEST, FileEntry, Manifest, read_manifest
from capsmith.models.run import RunDirectory
from capsmith.retrieval import judge_file

MANIFEST, CARD, VOCABULARY = "manifest.json", "README.md", "vocabulary.json"
DOMAIN, CAPTION_INDEX = "domain.npz", "caption_index.npz"
CAPTION_JUDGE = (judge_file.FILE, judge_file.DESCRIPTION)
_OPENED = ("onnx", "web")  # kinds whose graphs are ONNX files
_BLOCK = 2**20


@dataclass(frozen=True)
class ExportFolder:
    """The files of one export, which need not exist.

    Attributes:
        path: The folder.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def named(cls, path: str | Path) -> "ExportFolder":
        """Returns the export at a path from the user; ``starter`` is the one that comes with capsmith.

        Raises:
            ConfigError: The path is empty.
            CheckpointError: The starter is named, but is not in this installation.
        """
        return cls(model_path(path_argument(path, "export")))

    @property
    def is_export(self) -> bool:
        """Whether the folder has the manifest of an export, intact or not."""
        path = self.path / MANIFEST
        try:
            if not path.is_file():
                return False
            content = parse_json(read_bytes(path, MAX_MANIFEST))
        except (OSError, ValueError):
            return os.path.lexists(path) and not RunDirectory(self.path).config.exists()
        return isinstance(content, dict) and {"kind", "members"} <= content.keys()

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, read once.

        Raises:
            CheckpointError: It is missing or damaged.
        """
        return read_manifest(self.path / MANIFEST)

    def verify(self) -> None:
        """Checks that every file is the one that was exported, before any of them is opened.

        Raises:
            CheckpointError: The export is of a kind that Python does not open, or a file is missing, has another size
                or content, or lies outside the folder.
        """
        kind = self.manifest.kind
        if kind not in _OPENED:
            raise CheckpointError(
                f"{self} is an export of kind {kind}, which capsmith writes but does not read: use onnx"
            )
        for name in (VOCABULARY, *(name for member in self.manifest.members for name in member.files)):
            if name not in self.manifest.files:
                raise CheckpointError(f"{self.path / MANIFEST} is damaged: files lacks {name}; {ADVICE}")
        root = os.path.realpath(self.path)
        for name, entry in self.manifest.files.items():
            _verify(self.path / name, entry, root)

    @property
    def vocabulary(self) -> Vocabulary:
        """The words.

        Raises:
            CheckpointError: The file is damaged.
        """
        return Vocabulary.load(self.path / VOCABULARY)

    @property
    def domain(self) -> Path:
        """Summary of the training images; it need not exist."""
        return self.path / DOMAIN

    @property
    def has_domain(self) -> bool:
        """Whether the export has a summary of the training images."""
        return DOMAIN in self.manifest.files

    @property
    def has_caption_index(self) -> bool:
        """Whether the export has the captions of the training images, for reranking."""
        return CAPTION_INDEX in self.manifest.files

    @property
    def has_caption_judge(self) -> bool:
        """Whether the export has a copy of a joint embedding, for reranking."""
        return self.manifest.files.keys() >= set(CAPTION_JUDGE)

    @property
    def report(self) -> Path:
        """Default folder of an evaluation's report: beside the export, whose own files stay as they are.

        The starter's is in the current folder.
        """
        if has_starter() and self.path == starter_folder():
            return Path(f"{STARTER}-report").absolute()
        return self.path.absolute().with_name(f"{self.path.absolute().name}-report")


def _verify(path: Path, entry: FileEntry, root: str) -> None:
    """Checks place, size and SHA-256 of a file, in this order: a wrong file is not read."""
    if not os.path.realpath(path).startswith(root + os.sep):
        raise CheckpointError(f"{path} is a link to outside of the export; {ADVICE}")
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.bytes:
                raise CheckpointError(f"{path} has {size:,} bytes instead of {entry.bytes:,}: copy the export again")
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}: copy the export again") from error
    if digest.hexdigest() != entry.sha256:
        raise CheckpointError(f"{path} is not the file that was exported (another SHA-256): copy the export again")
