"""What a retraining gained and lost: the scores before and after, as JSON, as lines and for a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from capsmith.core.errors import CheckpointError
from capsmith.core.files import read_json, write_json
from capsmith.core.readers.file_schema import FileSchema
from capsmith.data.records import Record

GAIN = "retrain.json"
"""The name of the file in the run."""
_SHOWN = ("cider", "bleu4", "rouge")
_NAMES = {"new": "held-out corrections", "old": "old domain (dev)"}
_CIDER = (
    "CIDEr counts the words that a caption shares with the references of its image, rare words more. A correction is "
    "the only reference of its image, so the figure compares models on these images and nothing else."
)


class _SavedGain(FileSchema):
    """``retrain.json``."""

    format: int = Field(ge=1, le=1)
    model: str = Field(min_length=1)
    corrections: int = Field(ge=0)
    epochs: int = Field(ge=1)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    no_old: str = ""
    captions_before: dict[str, str] = {}


@dataclass
class Gain:
    """The scores of a retraining by domain: ``new``, the held-out corrections, and ``old``, if its data can be read.

    Attributes:
        model: The model that learned.
        corrections: Number of corrections, with those held out.
        epochs: Maximum number of passes over them.
        before: The scores of the model; empty until they are measured.
        after: The scores of the new run; empty until it is trained.
        no_old: Why there is no old domain; empty if there is one.
        captions: The model's captions of the held-out images.
    """

    model: str
    corrections: int
    epochs: int
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    no_old: str = ""
    captions: dict[str, str] = field(default_factory=dict)

    @property
    def improved(self) -> bool:
        """Whether the CIDEr of the held-out corrections rose."""
        return bool(self.after) and self.after["new"]["cider"] > self.before["new"]["cider"]

    @property
    def old_loss(self) -> float | None:
        """The share of its CIDEr that the old domain lost, negative if it gained; None if it was not measured."""
        if "old" not in self.before or "old" not in self.after:
            return None
        before = self.before["old"]["cider"]
        return (before - self.after["old"]["cider"]) / before if before else 0.0

    def lines(self) -> Iterator[str]:
        """Yields the comparison as lines of text."""
        for domain, name in _NAMES.items():
            if domain not in self.before or domain not in self.after:
                continue
            one, other = self.before[domain], self.after[domain]
            scores = ", ".join(f"{m} {one[m]:.4f} → {other[m]:.4f}" for m in _SHOWN if m in one and m in other)
            yield f"{name}: {one['images']:,} images, {scores}"
        if self.after and not self.improved:
            yield "the corrections did not improve the held-out captions: keep the old model, or correct more images"

    def page_values(self, records: Sequence[Record], captions: Mapping[str, str]) -> dict[str, Any]:
        """Returns what the page shows.

        Args:
            records: The held-out images with the corrections.
            captions: The new model's captions.
        """
        rows = [
            {"domain": name, "metric": metric, "images": one["images"], "before": one[metric], "after": other[metric]}
            for domain, name in _NAMES.items()
            if (one := self.before.get(domain)) and (other := self.after.get(domain))
            for metric in _SHOWN
            if metric in one and metric in other
        ]
        examples = [
            {
                "image_id": record.image_id,
                "image_path": record.path,
                "before": self.captions.get(record.image_id, ""),
                "after": captions[record.image_id],
                "correct": record.captions[0],
            }
            for record in records
            if record.image_id in captions
        ]
        old = "" if not self.no_old else f"The old domain was not measured: {self.no_old}."
        signature = f"Signature: {self.after['new']['signature']}"
        notes = [f"{self.corrections:,} corrections taught {self.model}.", _CIDER, old, signature]
        return {"rows": rows, "examples": examples, "notes": [note for note in notes if note]}


def write_gain(path: Path, gain: Gain) -> None:
    """Writes the scores, atomically."""
    values = {key: getattr(gain, key) for key in ("model", "corrections", "epochs", "before", "after", "no_old")}
    write_json(path, {"format": 1, **values, "captions_before": gain.captions})


def read_gain(path: Path) -> Gain:
    """Reads a file that ``write_gain`` wrote.

    Raises:
        CheckpointError: It is damaged.
    """
    advice = "remove it to retrain from the start"
    saved = _SavedGain.check(read_json(path, CheckpointError), path, CheckpointError, advice)
    for part in (saved.before, saved.after):
        if not all(isinstance(scores, dict) and isinstance(scores.get("cider"), float) for scores in part.values()):
            raise CheckpointError(f"{path} is damaged: a domain has no cider; {advice}")
    return Gain(
        saved.model, saved.corrections, saved.epochs, saved.before, saved.after, saved.no_old, saved.captions_before
    )
