"""Explains the scores of one image: the n-grams that gained and lost points."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from capsmith.core.errors import DataError, escaped
from capsmith.core.spelling import nearest
from capsmith.metrics.cider import Cider
from capsmith.metrics.ngrams import ORDER
from capsmith.metrics.rouge import common_length, position_masks, rouge_l
from capsmith.metrics.scorer import Scorer

_LISTED = 8  # n-grams listed of each kind


@dataclass(frozen=True)
class Gram:
    """One n-gram of the caption.

    Attributes:
        text: Its words.
        count: How often the caption contains it.
        matched: How often BLEU counts it: at most as often as one reference contains it.
        references: The number of references of the image that contain it.
        images: The number of images whose references contain it (document frequency).
        cider: The points that it adds to the image's CIDEr.
    """

    text: str
    count: int
    matched: int
    references: int
    images: int
    cider: float


@dataclass(frozen=True)
class Explanation:
    """The scores of one image in detail.

    Attributes:
        image_id: The image.
        caption: The tokens of the caption.
        references: The tokens of the references.
        grams: The n-grams of the caption for n = 1 … 4.
        closest: The length of the reference whose length is closest.
        rouge: The image's ROUGE-L.
        subsequences: The length of the longest common subsequence with each reference.
        cider: The image's CIDEr.
    """

    image_id: str
    caption: list[str]
    references: list[list[str]]
    grams: list[list[Gram]]
    closest: int
    rouge: float
    subsequences: list[int]
    cider: float

    def as_dict(self) -> dict[str, Any]:
        """Returns all fields, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.image_id}: {' '.join(self.caption) or '(no words)'}"]
        lines += [f"  reference {k}: {' '.join(tokens)}" for k, tokens in enumerate(self.references, 1)]
        length = len(self.caption)
        note = "shorter: loses points in BLEU" if length < self.closest else "not penalised"
        lines.append(f"length {length}, closest reference {self.closest} ({note})")
        for n, grams in enumerate(self.grams, 1):
            lines += _order_lines(n, grams)
        best = max(range(len(self.references)), key=lambda k: self.subsequences[k])
        lines.append(
            f"ROUGE-L {self.rouge:.3f}: at most {self.subsequences[best]} of {length} words in the order of a "
            f"reference (number {best + 1})"
        )
        points = sorted((g for grams in self.grams for g in grams if g.cider > 0), key=lambda g: -g.cider)
        earned = _shortened([f"{g.text} +{g.cider:.3f}" for g in points])
        lines.append(f"CIDEr {self.cider:.3f}: {earned or 'no n-gram earned points'}")
        return "\n".join(map(escaped, lines))


def explain(scorer: Scorer, hypotheses: Mapping[Any, Any], image_id: Hashable) -> Explanation:
    """Explains the scores of one image.

    Args:
        scorer: The references; document frequencies come from all of them.
        hypotheses: The captions.
        image_id: The image.

    Raises:
        DataError: There is no such image, or captions are not valid.
    """
    if image_id not in scorer.ids:
        raise DataError(f"--explain: unknown image '{image_id}'{nearest(str(image_id), map(str, scorer.ids))}")
    image = scorer.ids.index(image_id)
    caption, references = scorer.tokenise(hypotheses)[image], scorer.tokens[image]
    masks = position_masks(caption)
    grams = _grams(scorer, image, caption)
    return Explanation(
        image_id=str(image_id),
        caption=caption,
        references=list(references),
        grams=grams,
        closest=min(map(len, references), key=lambda r: (abs(r - len(caption)), r)),
        rouge=rouge_l(caption, references),
        subsequences=[common_length(masks, len(caption), reference) for reference in references],
        cider=sum(gram.cider for order in grams for gram in order),
    )


def _grams(scorer: Scorer, image: int, caption: Sequence[str]) -> list[list[Gram]]:
    """Returns the n-grams of a caption for n = 1 … 4, in the order of the caption."""
    index, frequency = scorer.references.ngrams.index, scorer.references.ngrams.document_frequency
    images = np.array([image], np.int64)
    counts = index.encode([caption])
    points = Cider().scorer(scorer.references).contributions(counts, images)
    rows = {int(number): row for row, number in enumerate(counts.gram)}
    listed = []
    for n in range(1, ORDER + 1):
        in_references = [_counter(reference, n) for reference in scorer.tokens[image]]
        grams = []
        for gram, count in _counter(caption, n).items():
            number = int(index.encode([gram]).gram[-1])  # rows are sorted by order: the last is the n-gram itself
            known = number < index.size
            grams.append(
                Gram(
                    text=" ".join(gram),
                    count=count,
                    matched=min(count, max(counter[gram] for counter in in_references)),
                    references=sum(gram in counter for counter in in_references),
                    images=int(frequency[number]) if known else 0,
                    cider=float(points[rows[number]]) if known else 0.0,
                )
            )
        listed.append(grams)
    return listed


def _counter(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _order_lines(n: int, grams: Sequence[Gram]) -> list[str]:
    matched, total = sum(g.matched for g in grams), sum(g.count for g in grams)
    lines = [f"{n}-grams: {matched} of {total} matched"]
    earned = sorted((g for g in grams if g.matched), key=lambda g: -g.references)
    lost = [g for g in grams if g.matched < g.count]
    if earned:
        lines.append("  + " + _shortened([f"{g.text} ({g.references})" for g in earned]))
    if lost:
        lines.append(
            "  - " + _shortened([g.text if g.images else f"{g.text} (in no reference of any image)" for g in lost])
        )
    return lines


def _shortened(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_LISTED]) + (f", and {len(parts) - _LISTED} more" if len(parts) > _LISTED else "")
