"""Images in, captions out, for any kind of members. It imports no Keras and no pydantic.

B images · L regions · D channels.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.decoding.features import EnsembleFeatures
from capsmith.models.arguments import (
    OnError,
    Several,
    check_pixels,
    image_list,
    read_images,
    require_same_process,
)
from capsmith.models.caption import Caption
from capsmith.models.feature_captioner import FeatureCaptioner, Features, parts_of
from capsmith.models.member import Member
from capsmith.models.training_domain import TrainingDomain
from capsmith.vision.images import ImageSource

if TYPE_CHECKING:
    from capsmith.decoding.config import DecodingConfig

_IMAGES_AT_ONCE = 16  # their features and pixels take a few dozen megabytes

Pixels = Sequence[list[np.ndarray]]
"""For each image its pixels (H, W, 3) at the size of each different encoder."""


class ImageCaptioner(FeatureCaptioner):
    """Captions images; arguments and attributes as ``FeatureCaptioner``."""

    @property
    def images_at_once(self) -> int:
        """Number of images that are encoded together."""
        return _IMAGES_AT_ONCE

    def caption_each(
        self,
        images: Any,
        decoding: "DecodingConfig",
        on_error: OnError,
        attention: bool = False,
        probabilities: bool = False,
    ) -> Any:
        """Captions one image or several.

        Args:
            images: As for ``Captioner.caption``.
            decoding: The search.
            on_error: As for ``Captioner.caption``.
            attention: As for ``Captioner.caption``.
            probabilities: As for ``Captioner.caption``.

        Returns:
            A caption, or for several images a list with a caption or an error for each.
        """
        require_same_process(self._process)
        if attention:
            self.require_attention()
        sources, several = image_list(images)
        size = self.batch_size(decoding, self.images_at_once)
        captions: list[Caption | ImageError] = []
        for batch in read_images(sources, self.image_sizes, size, several, on_error):
            pixels = [image for image in batch if not isinstance(image, ImageError)]
            captioned = iter(self._captions(pixels, decoding, attention, probabilities) if pixels else ())
            captions += [image if isinstance(image, ImageError) else next(captioned) for image in batch]
        return captions if several else captions[0]

    def _captions(
        self, pixels: Pixels, decoding: "DecodingConfig", attention: bool, probabilities: bool
    ) -> list[Caption]:
        """Returns the captions of a batch of images."""
        features = self.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))
        captions = self.caption_features(features, decoding, attention, probabilities)
        if self.domain is not None:
            checks = self.domain.check(parts_of(features)[0])
            captions = [replace(caption, domain=check) for caption, check in zip(captions, checks, strict=True)]
        return captions

    def features(self, images: ImageSource | Several) -> Features:
        """Returns the features of images; B is 1 for a single one. For an ensemble, they are ``EnsembleFeatures``."""
        if not (sources := image_list(images)[0]):
            empty = [np.zeros((0, *member.feature_shape), np.float32) for member in self.members]
            return empty[0] if len(empty) == 1 else EnsembleFeatures(empty)
        (pixels,) = read_images(sources, self.image_sizes, len(sources), True, "raise")
        return self.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))

    def encode(self, *pixels: np.ndarray) -> Features:
        """Returns the features of pixels in 0–255.

        Args:
            *pixels: For each different encoder one array (B, H, W, 3) at its size.
        """
        require_same_process(self._process)
        check_pixels(pixels, self.image_sizes)
        outputs = {
            id(member.encoders[number]): member.encode_with(number, array)
            for (member, number), array in zip(self._encoders, pixels, strict=True)
        }
        parts = [member.join([outputs[id(encoder)] for encoder in member.encoders]) for member in self.members]
        return parts[0] if len(parts) == 1 else EnsembleFeatures(parts)

    @cached_property
    def _encoders(self) -> list[tuple[Member, int]]:
        """The different encoders of all members, each as the first member that has it and its number there."""
        different: dict[int, tuple[Member, int]] = {}
        for member in self.members:
            for number, encoder in enumerate(member.encoders):
                different.setdefault(id(encoder), (member, number))
        return list(different.values())

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each different encoder takes, in the order of ``encode``."""
        return [member.encoders[number].image_size for member, number in self._encoders]

    @cached_property
    def domain(self) -> TrainingDomain | None:
        """Summary of the first member's training images; None if its run has none."""
        return self.members[0].load_domain()
