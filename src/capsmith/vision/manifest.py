"""The manifest of a feature store: what it holds, and what ``manifest.json`` must say."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from capsmith.core.errors import FeatureError
from capsmith.core.files import write_json
from capsmith.core.readers.json_files import FileSchema, read_json
from capsmith.vision.fingerprint import differences

FileBytes = Annotated[int, Field(ge=-1, lt=2**63)]
"""The size of an image's file; -1 for one that is missing."""


class SavedNote(FileSchema):
    """Why an image cannot be read."""

    reason: str
    size: FileBytes


class SavedHead(FileSchema):
    """What a manifest and the first line of a journal have in common."""

    fingerprint: dict[str, Any]
    shape: list[Annotated[int, Field(ge=1, lt=2**48)]] = Field(min_length=1, max_length=2)
    dtype: Literal["float16", "float32"]
    precision: Literal["float32", "bfloat16"] = "float32"  # stores of before have none


class SavedManifest(SavedHead):
    """``manifest.json``."""

    ids: list[str | None]
    sizes: list[FileBytes]
    broken: dict[str, SavedNote]

    @model_validator(mode="after")
    def _rows_agree(self) -> "SavedManifest":
        named = [image for image in self.ids if image is not None]
        if len(self.ids) != len(self.sizes) or len(set(named)) != len(named):
            raise ValueError("ids and sizes are not one for each row")
        return self


@dataclass
class Manifest:
    """What a store holds.

    Attributes:
        fingerprint: Of the encoder, see `capsmith.vision.fingerprint`.
        shape: Of one image's features: (D,) pooled, or (L, D).
        dtype: ``float32`` pooled, ``float16`` grid.
        ids: The image of each row; None for a row given up, its image having become unreadable.
        sizes: The size in bytes of each row's image file when it was read.
        broken: Unreadable images: ``{id: {"reason": …, "size": …}}``; size -1 for a missing file.
        precision: What the encoder calculated in.
    """

    fingerprint: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    ids: list[str | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    broken: dict[str, dict[str, Any]] = field(default_factory=dict)
    precision: str = "float32"

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads and checks ``manifest.json``.

        Raises:
            FeatureError: There is none, or it is damaged.
        """
        path = folder / "manifest.json"
        if not folder.is_dir():
            raise FeatureError(f"no features in {folder}: no such folder; run `capsmith extract` first")
        if not path.exists():
            raise FeatureError(
                f"features in {folder} are unfinished; run `capsmith extract` again, it goes on from there"
            )
        advice = f"delete {folder} and extract again"
        saved = SavedManifest.check(read_json(path, FeatureError), path, FeatureError, advice)
        return cls(**saved.model_dump(exclude={"shape"}), shape=tuple(saved.shape))

    def write(self, folder: Path) -> None:
        """Writes ``manifest.json`` atomically."""
        write_json(folder / "manifest.json", asdict(self))

    def file_sizes(self) -> dict[str, int]:
        """Returns the size of each image's file when it was last read, readable or not."""
        read = {image: size for image, size in zip(self.ids, self.sizes, strict=True) if image is not None}
        return read | {image: note["size"] for image, note in self.broken.items()}

    def reasons(self) -> dict[str, str]:
        """Returns the unreadable images and why."""
        return {image: note["reason"] for image, note in self.broken.items()}

    def check(self, expected: dict[str, Any], folder: Path) -> None:
        """Raises FeatureError when another encoder made the features; says in what it differs."""
        if differs := differences(self.fingerprint, expected):
            raise FeatureError(
                f"features in {folder} are of another encoder ({differs}); "
                "use the encoder that made them, or give another features.store"
            )
