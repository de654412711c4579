"""A score: its value, the value of each image, its interval, and a signature that records how it was computed."""

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


@dataclass(frozen=True)
class Score:
    """The score of one metric over N images.

    Attributes:
        name: ``bleu1`` … ``bleu4``, ``rouge``, ``cider``, ``cider_d``, ``cider_plain``, ``meteor``, ``spice``, or
            the name of a plugin's metric.
        value: 0 to 1; 0 to 10 for CIDEr.
        per_image: The score of each image by its id. The value of BLEU and METEOR is not the mean of these.
        signature: How the value was computed. Scores with different signatures are not comparable.
        statistics: One row of statistics per image, (N, S).
        combine: Computes values from summed rows, (…, S) to (…).
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
        interval = "" if self.interval is None else f" [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"
        return f"{self.name} {self.value:.3f}{interval} {self.signature}"

    def as_dict(self, per_image: bool = False) -> dict[str, Any]:
        """Returns the score as ``--json`` prints it.

        Args:
            per_image: Include the score of every image.
        """
        values: dict[str, Any] = {"value": self.value, "interval": self.interval, "signature": self.signature}
        if per_image:
            values["per_image"] = dict(self.per_image)
        return values


def compare(first: Score, second: Score) -> resampling.Comparison:
    """Tests whether the scores of two sets of captions of the same images differ (paired bootstrap).

    Args:
        first: The score of the first set.
        second: The score of the second set, by the same metric and from the same ``Scorer``.

    Raises:
        DataError: The scores were not computed in the same way.
    """
    if first.signature != second.signature or list(first.per_image) != list(second.per_image):
        raise DataError(
            f"scores with different signatures or images are not comparable: {first.signature} and {second.signature}"
        )
    return resampling.compare(first.statistics, second.statistics, first.combine)


def signature(name: str, tokeniser: str, case: str, references: tuple[int, int], images: int, *extra: str) -> str:
    """Builds a signature such as ``bleu4|order:4|tok:coco.1|case:lower|nrefs:5|n:1000|capsmith:0.1.0``.

    Args:
        name: The name of the score.
        tokeniser: Its name and version.
        case: ``lower`` or ``mixed``.
        references: The fewest and the most references of an image.
        images: The number of images.
        *extra: More ``key:value`` parts, which follow the name.
    """
    fewest, most = references
    span = str(fewest) if fewest == most else f"{fewest}-{most}"
    parts = [name, *extra, f"tok:{tokeniser}", f"case:{case}", f"nrefs:{span}", f"n:{images}"]
    return "|".join([*parts, f"capsmith:{__version__}"])
