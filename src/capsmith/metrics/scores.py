"""A score: its value, its images, its interval, and the signature that says how it was computed."""

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsmith import __version__
from capsmith.core.errors import DataError
from capsmith.metrics import resampling

Floats = NDArray[np.float64]
TITLES = {
    **{f"bleu{n}": f"BLEU-{n}" for n in range(1, 5)},
    **{"rouge": "ROUGE-L", "cider": "CIDEr", "cider_d": "CIDEr-D", "cider_plain": "CIDEr plain"},
    **{"meteor": "METEOR", "spice": "SPICE"},
}
"""How people write the metrics' names."""


@dataclass(frozen=True)
class Score:
    """One metric over a set of images.

    Attributes:
        name: ``bleu1`` … ``bleu4``, ``rouge``, ``cider``, ``cider_d``, ``cider_plain``, ``meteor``, ``spice``.
        value: A fraction from 0 to 1; for CIDEr from 0 to 10.
        per_image: The score of each image by its id. BLEU and METEOR of a corpus are not the mean of these.
        signature: How the value came about; two scores compare only when their signatures are equal.
        statistics: What the value is computed from, one row an image, (N, S).
        combine: Turns summed rows (…, S) into values (…); the last column counts the images.
    """

    name: str
    value: float
    per_image: Mapping[Hashable, float] = field(repr=False)
    signature: str
    statistics: Floats = field(repr=False, compare=False)
    combine: Callable[[Floats], Floats] = field(repr=False, compare=False)

    @functools.cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % bootstrap interval over images (percentile, 1,000 resamples, fixed seed); None for one image."""
        return resampling.interval(self.statistics, self.combine)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        around = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        return f"{self.name} {self.value:.3f}{around} {self.signature}"

    def as_dict(self, per_image: bool = False) -> dict[str, Any]:
        """Returns what ``--json`` prints.

        Args:
            per_image: With the score of every image.
        """
        shown: dict[str, Any] = {"value": self.value, "interval": self.interval, "signature": self.signature}
        if per_image:
            shown["per_image"] = dict(self.per_image)
        return shown


def compare(first: Score, second: Score) -> resampling.Comparison:
    """Tests whether two sets of captions of the same images differ (paired bootstrap).

    Args:
        first: One metric over the first set.
        second: The same metric over the second, from the same ``Scorer``.

    Raises:
        DataError: The scores were not computed in the same way.
    """
    if first.signature != second.signature or list(first.per_image) != list(second.per_image):
        raise DataError(f"scores of different kinds do not compare: {first.signature} and {second.signature}")
    return resampling.compare(first.statistics, second.statistics, first.combine)


def signature(name: str, tokeniser: str, case: str, references: tuple[int, int], images: int, *extra: str) -> str:
    """Builds a signature such as ``bleu4|order:4|tok:coco.1|case:lower|nrefs:5|n:1000|capsmith:0.1.0``.

    Args:
        name: The metric.
        tokeniser: Name and version.
        case: ``lower`` or ``mixed``.
        references: Fewest and most references an image.
        images: How many images.
        *extra: More ``key:value`` parts, right after the name.
    """
    fewest, most = references
    span = str(fewest) if fewest == most else f"{fewest}-{most}"
    parts = [name, *extra, f"tok:{tokeniser}", f"case:{case}", f"nrefs:{span}", f"n:{images}"]
    return "|".join([*parts, f"capsmith:{__version__}"])
