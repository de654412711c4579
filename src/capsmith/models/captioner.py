"""The captioner: images in, captions out, by one trained model or by an ensemble."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, overload

import numpy as np

from capsmith.config import Config
from capsmith.core.errors import ImageError
from capsmith.decoding.config import DecodingConfig
from capsmith.decoding.features import EnsembleFeatures
from capsmith.models.arguments import (
    OnError,
    Raise,
    Return,
    Several,
    check_pixels,
    image_list,
    read_images,
    require_same_process,
)
from capsmith.models.caption import Caption as Caption
from capsmith.models.decoding_argument import Search, chosen_decoding
from capsmith.models.ensemble_run import RunPaths, find_runs, save_ensemble
from capsmith.models.feature_captioner import FeatureCaptioner, Features, parts_of
from capsmith.models.loading import keras_members, load_members, summary_of
from capsmith.models.member import Member
from capsmith.models.run import RunDirectory
from capsmith.models.training_domain import TrainingDomain
from capsmith.vision.images import ImageSource


class Captioner(FeatureCaptioner):
    """Captions images by one model, or by several whose next word follows the mean of their probabilities.

    A captioner belongs to the process that created it: a forked child must load its own, and it cannot be pickled.
    Captions can be pickled.

    Args:
        members: The models, over one vocabulary. The first one decides decoding and evaluation.
        caption_index: Training captions for reranking; by default read from the first member's run when needed.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Captioner cannot be pickled or copied: pass on its run directory, and load it from there")

    @classmethod
    def load(
        cls, run: RunPaths, encoder: bool = True, overrides: Sequence[str] = (), average: bool = False
    ) -> "Captioner":
        """Loads the best checkpoint of a run, an export, or the members of an ensemble. Exports need no Keras.

        Args:
            run: An export; a run directory, whose config may name an ``ensemble``; a saved ensemble (a directory with
                ``ensemble.yaml``, or a YAML file); or several of them, which form an ensemble.
            encoder: Also load the encoders; without them only features can be captioned.
            overrides: Changes to the config, such as ``"decoding.beam_size=3"``.
            average: Average the weights of several runs instead of their probabilities: for stages of one training.

        Raises:
            CheckpointError: A directory is not a run, is incomplete, or its files do not belong together; or the
                members have different vocabularies.
            ConfigError: An override is invalid.
        """
        runs = find_runs(run, overrides, average)
        return cls.load_members(runs.runs, runs.configs(require_all=False), encoder, runs.average)

    @classmethod
    def load_members(
        cls, runs: Sequence[Path], configs: Sequence[Config], encoder: bool = True, average: bool = False
    ) -> "Captioner":
        """Loads the members of each run or export, with its config; equal frozen encoders are loaded once."""
        return cls(load_members(runs, configs, encoder, average))

    def save(self, run: str | Path) -> None:
        """Writes everything that ``load`` needs into a directory; each member of an ensemble into a subfolder."""
        members = keras_members(self.members)
        if len(members) == 1:
            members[0].save(run)
            return
        directory = RunDirectory.named(run)
        folders = [directory.member(number + 1) for number in range(len(members))]
        for member, folder in zip(members, folders, strict=True):
            member.save(folder)
        save_ensemble(directory, [folder.name for folder in folders])

    def with_config(self, config: Config) -> "Captioner":
        """Returns this captioner with another config of the first member, which decides decoding and evaluation."""
        first: Any = self.members[0]
        return Captioner([replace(first, config=config), *self.members[1:]], self._given_index)

    def summary(self, layers: bool = False) -> str:
        """Returns a table of each member's layers: shapes, parameters, bytes.

        Args:
            layers: List the layers of the encoders too.
        """
        return "\n\n".join(summary_of(member, layers) for member in self.members)

    # --- images to captions ------------------------------------------------------------------------------------------

    @overload
    def caption(
        self,
        images: ImageSource,
        decoding: Search = ...,
        attention: bool = ...,
        on_error: OnError = ...,
        **settings: Any,
    ) -> Caption: ...
    @overload
    def caption(
        self, images: Several, decoding: Search = ..., attention: bool = ..., on_error: Raise = ..., **settings: Any
    ) -> list[Caption]: ...
    @overload
    def caption(
        self, images: Several, decoding: Search = ..., attention: bool = ..., *, on_error: Return, **settings: Any
    ) -> list[Caption | ImageError]: ...
    def caption(
        self,
        images: Any,
        decoding: Search = None,
        attention: bool = False,
        on_error: OnError = "raise",
        **settings: Any,
    ) -> Any:
        """Captions one image or several. The caption of an image does not depend on the others.

        Args:
            images: A path, bytes, a PIL image or an array (H, W, 3), or a list (or other iterable) of them.
            decoding: The search: settings such as ``BeamConfig(beam_size=3)``, or a name: ``"greedy"``, ``"beam"``,
                ``"sample"``; by default that of the config.
            attention: Also return attention maps. Those of an ensemble are the mean of its members' maps, on the grid
                of the first member with attention.
            on_error: If an image cannot be read, ``"raise"`` the error, or ``"return"`` it in place of the caption.
            **settings: Changes to the search, such as ``beam_size=3``. If ``decoding`` is not given and the config's
                search lacks them, the first search that has them is used: beam search for ``beam_size``.

        Returns:
            A ``Caption``, or for several images a list of them in the same order.

        Raises:
            ImageError: An image cannot be decoded.
            ConfigError: The search is invalid, or attention is requested from a decoder without it.
            TypeError: An argument has the wrong type.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        require_same_process(self._process)
        search_config = chosen_decoding(decoding, self.config.decoding, settings)
        sources, several = image_list(images)
        if attention:
            from capsmith.models.attention_maps import require_attention

            require_attention(keras_members(self.members))
        size = self.batch_size(search_config, self.config.evaluation.batch_size)
        captions: list[Caption | ImageError] = []
        for batch in read_images(sources, self._image_sizes, size, several, on_error):
            pixels = [image for image in batch if not isinstance(image, ImageError)]
            captioned = iter(self._caption_pixels(pixels, search_config, attention) if pixels else ())
            captions += [image if isinstance(image, ImageError) else next(captioned) for image in batch]
        return captions if several else captions[0]

    def _caption_pixels(
        self, pixels: list[list[np.ndarray]], decoding: DecodingConfig, attention: bool
    ) -> list[Caption]:
        features = self.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))
        parts = parts_of(features)
        captions = self.caption_features(features, decoding)
        if self.domain is not None:
            checks = self.domain.check(parts[0])
            captions = [replace(caption, domain=check) for caption, check in zip(captions, checks, strict=True)]
        if not attention:
            return captions
        from capsmith.models.attention_maps import attention_maps

        ids = [self.vocabulary.encode_words(caption.words) for caption in captions]
        return [
            replace(caption, attention=maps.weights, probabilities=tuple(maps.probabilities.tolist()))
            for caption, maps in zip(captions, attention_maps(keras_members(self.members), parts, ids), strict=True)
        ]

    def features(self, images: ImageSource | Several) -> Features:
        """Returns the features of images; B is 1 for a single one. For an ensemble, they are ``EnsembleFeatures``."""
        if not (sources := image_list(images)[0]):
            empty = [np.zeros((0, *member.feature_shape), np.float32) for member in self.members]
            return empty[0] if len(empty) == 1 else EnsembleFeatures(empty)
        (pixels,) = read_images(sources, self._image_sizes, len(sources), True, "raise")
        return self.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))

    def encode(self, *pixels: np.ndarray) -> Features:
        """Returns the features of pixels in 0–255.

        Args:
            *pixels: For each different encoder one array (B, H, W, 3) at its size.
        """
        require_same_process(self._process)
        check_pixels(pixels, self._image_sizes)
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
    def _image_sizes(self) -> list[tuple[int, int]]:
        return [member.encoders[number].image_size for member, number in self._encoders]

    @cached_property
    def domain(self) -> TrainingDomain | None:
        """Summary of the first member's training images; None if its run has none."""
        return self.members[0].load_domain()
