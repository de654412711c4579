"""One trained model, whatever computes it: the interface of ``KerasMember`` and ``ExportedMember``. No Keras.

B images · L regions · D channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.engine import AttentiveStepper
from capsmith.models.training_domain import TrainingDomain
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.caption_judge import CaptionJudge

if TYPE_CHECKING:
    from capsmith.data.sources import FeatureSource
    from capsmith.models.feature_origin import FeatureOrigin


class ImageEncoder(Protocol):
    """An encoder of a member."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the input."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image, (D,) or (L, D)."""

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D), float32, of images (B, H, W, 3)."""


class Place(Protocol):
    """Where a member was loaded from: a run directory, or an export."""

    @property
    def path(self) -> Path:
        """The folder."""


class Member(Protocol):
    """One trained model."""

    @property
    def config(self) -> Any:
        """The resolved config; in the runtime only its ``text`` and ``decoding``."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image, (D,) or (L, D)."""

    @property
    def encoder(self) -> Any:
        """Turns images into features; None if only features are captioned."""

    @property
    def run(self) -> Place | None:
        """The folder that the model was loaded from, if any."""

    @property
    def feature_origin(self) -> "FeatureOrigin | None":
        """The pickle whose features the model was trained on, if any."""

    @property
    def attends(self) -> bool:
        """Whether attention maps can be computed."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; joined grids have those of the first encoder."""

    @property
    def encoders(self) -> Sequence[ImageEncoder]:
        """The encoders, whose features are joined; raises CheckpointError if there are none."""

    @property
    def stepper(self) -> AttentiveStepper:
        """The decoder for searches."""

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) in 0–255, one array for each encoder."""

    def encode_with(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) from one of the encoders."""

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the features of the encoders into what the decoder reads."""

    def load_domain(self) -> TrainingDomain | None:
        """Reads the summary of the training images, if there is one."""

    def load_caption_index(self) -> CaptionIndex:
        """Reads the captions of the training images; raises CheckpointError if there are none."""

    def load_caption_judge(self, embedding: Path) -> CaptionJudge:
        """Reads the copy of a joint embedding; raises CheckpointError if there is none, or one of another embedding."""


@dataclass(frozen=True)
class StoredFeatures:
    """The features of images by id, as one model reads them.

    Attributes:
        member: The model.
        source: Its features, or pixels if its encoder was trained.
    """

    member: Member
    source: "FeatureSource"

    def features(self, ids: Sequence[str]) -> np.ndarray:
        """Returns features (B, D) or (B, L, D)."""
        rows = self.source.gather(self.source.rows(ids))
        return self.member.encode(rows) if _holds_pixels(rows) and self.member.config.trains_encoder else rows


def _holds_pixels(rows: np.ndarray) -> bool:
    return rows.ndim == 4


def require_same_words(members: Sequence[Member]) -> None:
    """Checks that models can form an ensemble.

    Raises:
        CheckpointError: A member has another vocabulary than the first.
    """
    first = members[0]
    for member in members[1:]:
        if member.vocabulary.sha256() != first.vocabulary.sha256():
            raise CheckpointError(
                f"{member.run} has another vocabulary than {first.run}: train both on the same captions"
            )
