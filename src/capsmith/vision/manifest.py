"""The manifest of a feature store, and the schema of ``manifest.json``."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from capsmith.core.errors import FeatureError
from capsmith.core.files import write_json
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.json_files import read_json
from capsmith.vision.fingerprint import describe_differences

FileBytes = Annotated[int, Field(ge=-1, lt=2**63)]
"""Size of an image file in bytes; -1 for a missing file."""


ShardName = Annotated[str, Field(pattern=r"^job-\d{3}/shards/\d{8}\.npy$")]
"""A shard of the features, relative to the store."""


class SavedNote(FileSchema):
    """Why an image is unreadable, and the size of its file."""

    reason: str
    size: FileBytes


class SavedShard(FileSchema):
    """A file with some of the rows."""

    name: ShardName
    rows: Annotated[int, Field(ge=1, lt=2**32)]


class SavedHead(FileSchema):
    """Fields that a manifest and the first line of a journal share."""

    fingerprint: dict[str, Any]
    shape: list[Annotated[int, Field(ge=1, lt=2**48)]] = Field(min_length=1, max_length=2)
    dtype: Literal["float16", "float32"]
    precision: Literal["float32", "bfloat16"] = "float32"  # missing in older stores


class SavedManifest(SavedHead):
    """``manifest.json``."""

    ids: list[str | None]
    sizes: list[FileBytes]
    broken: dict[str, SavedNote]
    shards: list[SavedShard] = []

    @model_validator(mode="after")
    def _rows_agree(self) -> "SavedManifest":
        named = [image for image in self.ids if image is not None]
        if len(self.ids) != len(self.sizes) or len(set(named)) != len(named):
            raise ValueError("ids and sizes must have one entry per row, and ids must be distinct")
        if self.shards and sum(shard.rows for shard in self.shards) != len(self.ids):
            raise ValueError("the rows of the shards must be those of the store")
        return self


@dataclass
class Manifest:
    """The contents of a store.

    Attributes:
        fingerprint: Fingerprint of the encoder, see `capsmith.vision.fingerprint`.
        shape: Shape of the features of one image: (D,) pooled, or (L, D).
        dtype: ``float32`` pooled, ``float16`` grid.
        ids: Image of each row; None if the image became unreadable.
        sizes: Size in bytes of each row's image file when it was read.
        broken: Unreadable images: ``{id: {"reason": …, "size": …}}``; size -1 for a missing file.
        precision: Precision in which the encoder computed.
        shards: Files with the rows in order: ``{"name": …, "rows": …}``; empty if one file has them all.
    """

    fingerprint: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    ids: list[str | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    broken: dict[str, dict[str, Any]] = field(default_factory=dict)
    precision: str = "float32"
    shards: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads and checks ``manifest.json``.

        Raises:
            FeatureError: The file is missing or damaged.
        """
        path = folder / "manifest.json"
        if not folder.is_dir():
            raise FeatureError(f"no features in {folder}: no such folder; run `capsmith extract` first")
        if not path.exists():
            raise FeatureError(f"features in {folder} are unfinished; run `capsmith extract` again: it resumes")
        advice = f"delete {folder} and extract again"
        saved = SavedManifest.check(read_json(path, FeatureError), path, FeatureError, advice)
        return cls(**saved.model_dump(exclude={"shape"}), shape=tuple(saved.shape))

    def write(self, folder: Path) -> None:
        """Writes ``manifest.json`` atomically."""
        write_json(folder / "manifest.json", {k: v for k, v in asdict(self).items() if k != "shards" or v})

    def file_sizes(self) -> dict[str, int]:
        """Returns the size of each image file when it was last read, unreadable ones included."""
        read = {image: size for image, size in zip(self.ids, self.sizes, strict=True) if image is not None}
        return read | {image: note["size"] for image, note in self.broken.items()}

    def reasons(self) -> dict[str, str]:
        """Returns the unreadable images, and the reason."""
        return {image: note["reason"] for image, note in self.broken.items()}

    def check(self, expected: dict[str, Any], folder: Path) -> None:
        """Raises FeatureError, naming the differences, if the features belong to another encoder."""
        if differs := describe_differences(self.fingerprint, expected):
            raise FeatureError(
                f"features in {folder} belong to another encoder ({differs}); "
                "use that encoder, or set another features.store"
            )
