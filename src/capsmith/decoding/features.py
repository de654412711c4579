"""Features of images that searches accept: plain arrays, or one of these classes.

P images · C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capsmith.decoding.chance import strongest_channels


@dataclass(frozen=True)
class MaskedFeatures:
    """Features with dropout masks that stay fixed over a caption.

    Attributes:
        features: Features (P, …).
        dropout_masks: Two arrays (P, C): see ``decoders.base.DropoutMasks``.
    """

    features: np.ndarray
    dropout_masks: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def streams(self) -> list[tuple[int, ...]]:
        """Random streams of the samples: the position of each image in the batch.

        Training batches are reproducible, so positions may be used. Streams derived from features would give similar
        images the same random numbers, which makes the batch less informative.
        """
        return [(position,) for position in range(len(self))]


class EnsembleFeatures:
    """Features of the same P images for each member of an ensemble.

    Args:
        parts: One array (P, …) for each member.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows: slice) -> "EnsembleFeatures":
        return EnsembleFeatures([part[rows] for part in self.parts])

    @property
    def streams(self) -> list[tuple[int, ...]]:
        """Random streams of the samples: those of the first member's features."""
        return strongest_channels(self.parts[0])


Features = np.ndarray | MaskedFeatures | EnsembleFeatures
