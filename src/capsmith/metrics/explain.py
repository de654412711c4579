"""What earned and lost points for one image, n-gram by n-gram."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from capsmith.core.errors import DataError, escaped
from capsmith.core.schema import nearest
from capsmith.metrics.cider import SIGMA
from capsmith.metrics.ngrams import ORDER
from capsmith.metrics.rouge import common_length, places, rouge_l
from capsmith.metrics.scorer import Scorer

_SHOWN = 8  # n-grams named for each kind


@dataclass(frozen=True)
class Gram:
    """One n-gram of the caption.

    Attributes:
        text: Its words.
        count: How often the caption holds it.
        matched: How many of these BLEU counts: no more than in the reference that holds most.
        references: In how many references of the image it stands.
        images: In how many images' references it stands (document frequency).
        cider: Points that it adds to the image's CIDEr.
    """

    text: str
    count: int
    matched: int
    references: int
    images: int
    cider: float


@dataclass(frozen=True)
class Explanation:
    """One image's caption, taken apart.

    Attributes:
        image_id: The image.
        caption: The caption's tokens.
        references: The references' tokens.
        grams: The caption's n-grams for n = 1 … 4.
        closest: Length of the reference that is closest in length.
        rouge: The image's ROUGE-L.
        subsequences: For each reference the length of the longest common subsequence.
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
        """Returns everything, for JSON."""
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
        lines.append(f"CIDEr {self.cider:.3f}: {_points(points) or 'no n-gram earned any'}")
        return "\n".join(map(escaped, lines))


def explain(scorer: Scorer, hypotheses: Mapping[Any, Any], image_id: Hashable) -> Explanation:
    """Takes one image's caption apart.

    Args:
        scorer: Holds the references; document frequencies come from all of them.
        hypotheses: The captions.
        image_id: The image.

    Raises:
        DataError: No such image, or captions that cannot be used.
    """
    if image_id not in scorer.ids:
        raise DataError(f"--explain: image '{image_id}' is not there{nearest(str(image_id), map(str, scorer.ids))}")
    at = scorer.ids.index(image_id)
    caption, references = scorer.tokenise(hypotheses)[at], scorer.tokens[at]
    masks = places(caption)
    contributions = _cider_points(scorer, caption, references)
    return Explanation(
        image_id=str(image_id),
        caption=caption,
        references=references,
        grams=[_grams(scorer, caption, references, n, contributions) for n in range(1, ORDER + 1)],
        closest=min(map(len, references), key=lambda r: (abs(r - len(caption)), r)),
        rouge=rouge_l(caption, references),
        subsequences=[common_length(masks, len(caption), reference) for reference in references],
        cider=sum(contributions.values()),
    )


def _count(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _grams(
    scorer: Scorer,
    caption: Sequence[str],
    references: Sequence[Sequence[str]],
    n: int,
    contributions: Mapping[tuple[str, ...], float],
) -> list[Gram]:
    counted = [_count(reference, n) for reference in references]
    return [
        Gram(
            text=" ".join(gram),
            count=count,
            matched=min(count, max(reference[gram] for reference in counted)),
            references=sum(gram in reference for reference in counted),
            images=_document_frequency(scorer, gram),
            cider=contributions.get(gram, 0.0),
        )
        for gram, count in _count(caption, n).items()
    ]


def _document_frequency(scorer: Scorer, gram: tuple[str, ...]) -> int:
    counts = scorer.grams.index.encode([gram])
    number = int(counts.gram[-1])  # rows are sorted by order: the last is the n-gram itself
    return int(scorer.grams.document_frequency[number]) if number < scorer.grams.index.size else 0


def _cider_points(
    scorer: Scorer, caption: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[tuple[str, ...], float]:
    """Splits the image's CIDEr into what each n-gram adds (the equations stand in ``cider``)."""
    images = scorer.grams.images

    def weights(tokens: Sequence[str], n: int) -> dict[tuple[str, ...], float]:
        return {
            gram: count * (math.log(images) - math.log(max(1, _document_frequency(scorer, gram))))
            for gram, count in _count(tokens, n).items()
        }

    points: dict[tuple[str, ...], float] = {}
    for n in range(1, ORDER + 1):
        mine = weights(caption, n)
        for reference in references:
            theirs = weights(reference, n)
            scale = math.hypot(*mine.values()) * math.hypot(*theirs.values())
            apart = max(0, len(caption) - 1) - max(0, len(reference) - 1)
            share = 10 / ORDER / len(references) * math.exp(-(apart**2) / (2 * SIGMA**2))
            for gram in mine.keys() & theirs.keys() if scale else ():
                earned = share * min(mine[gram], theirs[gram]) * theirs[gram] / scale
                points[gram] = points.get(gram, 0.0) + earned
    return points


def _order_lines(n: int, grams: Sequence[Gram]) -> list[str]:
    matched, total = sum(g.matched for g in grams), sum(g.count for g in grams)
    lines = [f"{n}-grams: {matched} of {total} matched"]
    earned = sorted((g for g in grams if g.matched), key=lambda g: -g.references)
    lost = [g for g in grams if g.matched < g.count]
    if earned:
        lines.append("  + " + _cut([f"{g.text} ({g.references})" for g in earned]))
    if lost:
        lines.append("  - " + _cut([g.text if g.images else f"{g.text} (in no reference at all)" for g in lost]))
    return lines


def _points(grams: Sequence[Gram]) -> str:
    return _cut([f"{g.text} +{g.cider:.3f}" for g in grams])


def _cut(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_SHOWN]) + (f", and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else "")
