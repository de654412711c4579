"""The report of a joint embedding: scores, images with the captions found for them, and the other way round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.data.records import Record
from capsmith.evaluation.html import Card, clear_copies, small_copy, write_page
from capsmith.metrics.retrieval import Ranks
from capsmith.metrics.scores import Score
from capsmith.training.embedding.config import EmbeddingRunConfig

_HIT = "✓ "


@dataclass(frozen=True)
class Query:
    """What was found for one image or caption.

    Attributes:
        cards: The image with its captions, or the images that were found.
        text: The caption, if it is the query.
        rank: The rank of the first right item.
    """

    cards: Sequence[Card]
    text: str
    rank: int


@dataclass(frozen=True)
class Found:
    """The items of a split and how similar they are.

    Attributes:
        records: The images (N).
        ranks: The rank of the first right item of each query.
        similarity: Cosines of images and captions (N, C).
        shown: Results shown for a query.
    """

    records: Sequence[Record]
    ranks: Ranks
    similarity: np.ndarray
    shown: int

    @property
    def captions(self) -> list[str]:
        """All captions (C)."""
        return [caption for record in self.records for caption in record.captions]

    def captions_of(self, image: int) -> list[int]:
        """Returns the captions that are most similar to an image, best first."""
        return _best(self.similarity[image], self.shown)

    def images_of(self, caption: int) -> list[int]:
        """Returns the images that are most similar to a caption, best first."""
        return _best(self.similarity[:, caption], self.shown)


def write_retrieval_page(
    directory: Path,
    config: EmbeddingRunConfig,
    split: str,
    found: Found,
    scores: Mapping[str, Score],
    control: Mapping[str, Score],
) -> Path:
    """Writes ``index.html`` and the images that it shows; the page last, all atomically.

    Args:
        directory: The folder of the page.
        config: The config of the model.
        split: Name of the split.
        found: What was found.
        scores: The score of each metric.
        control: The same for shuffled images.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    examples = config.evaluation.examples
    images, captions = (_extremes(part, examples) for part in (found.ranks.image_to_text, found.ranks.text_to_image))
    wanted = {n for part in images for n in part} | {n for part in captions for c in part for n in found.images_of(c)}
    files = {n: _copy(found.records[n], directory / "images") for n in sorted(wanted)}
    clear_copies(directory / "images", {name for name in files.values() if name})
    sections = []
    for heading, chosen in zip(("Captions for an image: best", "Captions for an image: worst"), images, strict=True):
        cards = [_image_card(found, n, files[n]) for n in chosen]
        queries = [Query(cards, "", 0)] if cards else []
        sections.append({"heading": heading, "queries": queries, "total": len(found.records)})
    for heading, chosen in zip(("Images for a caption: best", "Images for a caption: worst"), captions, strict=True):
        queries = [_caption_query(found, n, files) for n in chosen]
        sections.append({"heading": heading, "queries": queries, "total": len(found.captions)})
    return write_page(
        directory / "index.html",
        "retrieval.html",
        f"joint embedding on {config.data.type}, {split}",
        scores=[_row(name, score, control) for name, score in scores.items()],
        sections=sections,
        notes=[
            f"Text: {config.embedding.text.type}, {config.embedding.size} dimensions",
            f"Encoder: {' + '.join(encoder.title for encoder in config.encoders)}",
            f"Seed: {config.seed}",
        ],
    )


def _row(name: str, score: Score, control: Mapping[str, Score]) -> dict[str, object]:
    shuffled = control[name].value if name in control else None
    row = {"name": name, "value": score.value, "interval": score.interval, "signature": score.signature}
    return {**row, "control": shuffled}


def _image_card(found: Found, image: int, file: str | None) -> Card:
    """Returns an image with the captions found for it."""
    captions, owner = found.captions, found.ranks.owner
    lines = [
        f"{_HIT if owner[n] == image else ''}{captions[n]} ({found.similarity[image, n]:.2f})"
        for n in found.captions_of(image)
    ]
    name = str(found.records[image].image_id)
    return Card(file, alt=name, name=name, lines=lines, note="rank", figure=str(found.ranks.image_to_text[image]))


def _caption_query(found: Found, caption: int, files: Mapping[int, str | None]) -> Query:
    """Returns a caption with the images found for it."""
    right, cards = found.ranks.owner[caption], []
    for n in found.images_of(caption):
        name = str(found.records[n].image_id)
        note = _HIT.strip() if n == right else ""
        cards.append(Card(files[n], alt=name, name=name, note=note, figure=f"{found.similarity[n, caption]:.2f}"))
    return Query(cards, found.captions[caption], int(found.ranks.text_to_image[caption]))


def _extremes(ranks: np.ndarray, most: int) -> tuple[list[int], list[int]]:
    """Returns the queries of the lowest ranks, and those of the highest, worst first; a quarter of ``most`` each."""
    order = np.argsort(ranks, kind="stable").tolist()
    count = min(most // 4, len(order) // 2)
    return order[:count], order[::-1][:count]


def _best(values: np.ndarray, count: int) -> list[int]:
    best: list[int] = np.argsort(-values, kind="stable")[:count].tolist()
    return best


def _copy(record: Record, folder: Path) -> str | None:
    return small_copy(record.path, str(record.image_id), folder)
