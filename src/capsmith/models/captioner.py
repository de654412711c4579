"""The captioner: encoder, decoder and vocabulary, from images to sentences.

Its directory holds everything that captioning needs: ``config.yaml``, ``vocabulary.json``, ``captioner.json``, the
encoder's files and ``model.weights.h5``. Loading executes nothing from them.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn, overload

import keras
import numpy as np

from capsmith.config import Config, save_config
from capsmith.core.compilation import compiled
from capsmith.core.errors import CheckpointError, ImageError
from capsmith.core.files import named, read_json, write_json
from capsmith.core.plugin_requirements import write_requirements
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.limits import images_at_once
from capsmith.decoding.rerank.mbr import ConsensusConfig
from capsmith.decoding.search import DECODINGS, DecodingConfig, Hypothesis, require_known_words, search
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.arguments import (
    OnError,
    Raise,
    Return,
    Search,
    Several,
    check_pixels,
    checked_features,
    chosen_decoding,
    image_list,
    read_images,
    require_same_process,
)
from capsmith.models.attention_maps import attention_maps, require_attention
from capsmith.models.caption import Caption, caption_of
from capsmith.models.caption_model import CaptionModel, build_model
from capsmith.models.checkpoints import checked_shape, load_weights, save_weights
from capsmith.models.given_features import GivenFeatures
from capsmith.models.run_config import run_config
from capsmith.models.training_domain import TrainingDomain, checked
from capsmith.retrieval.caption_index import Memory
from capsmith.training.encoder_adaptation import keep_adapted
from capsmith.vision.encoder import Encoder, load_encoders, save_encoders
from capsmith.vision.images import Source
from capsmith.vision.joined import JoinedEncoder
from capsmith.vision.joined import join as join_features

WEIGHTS = "model.weights.h5"
_PARTS = ("vocabulary.json", "captioner.json")
_FORMAT = 1


class Captioner:
    """Captions images.

    It belongs to the process that made it: a forked child must load its own, and it cannot be pickled. What it
    returns can be.

    Args:
        config: The resolved config of the training.
        vocabulary: The words.
        model: The trained network; its decoder is built.
        feature_shape: What the decoder takes, (D,) or (L, D).
        encoder: Turns images into features; None when only features will be captioned.
    """

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        model: CaptionModel,
        feature_shape: tuple[int, ...],
        encoder: Encoder | JoinedEncoder | None,
    ) -> None:
        self.config, self.vocabulary, self.model = config, vocabulary, model
        self.feature_shape, self.encoder = feature_shape, encoder
        self.run: Path | None = None  # where it was loaded from
        self.given: GivenFeatures | None = None  # the pickle whose features it learned from
        self._process = os.getpid()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Captioner cannot be pickled or copied: pass on its run directory, and load it from there")

    @classmethod
    def load(cls, run: str | Path, encoder: bool = True) -> "Captioner":
        """Loads a run's best checkpoint.

        Args:
            run: The run directory.
            encoder: Also load the encoder; without it only features can be captioned.

        Raises:
            CheckpointError: The directory is not a run, is incomplete, or its files do not belong together.
        """
        if not isinstance(run, str | Path):
            raise TypeError(f"a captioner is loaded from the path of a run directory, not from {type(run).__name__}")
        run = named(run, "run")
        config = run_config(run)
        if absent := [name for name in _PARTS if not (run / name).is_file()]:
            raise CheckpointError(f"{run} is incomplete: it lacks {', '.join(absent)}; copy or train the run again")
        vocabulary = Vocabulary.load(run / "vocabulary.json")
        about = read_json(run / "captioner.json", CheckpointError)
        shape = checked_shape(about, vocabulary, run, _FORMAT)
        given = GivenFeatures.read(about.get("features"), f"{run}/captioner.json")
        there = given is None or given.encoder != "none"
        needed = there and (encoder or config.trains_encoder)
        loaded = load_encoders(config.encoders, run) if needed else None
        if loaded is not None and loaded.feature_shape != shape:
            raise CheckpointError(f"{run}/captioner.json: feature_shape is not its encoder's, {loaded.feature_shape}")
        model = build_model(config, vocabulary, shape, loaded)
        load_weights(model, run / WEIGHTS)
        captioner = cls(config, vocabulary, model, shape, loaded)
        captioner.run, captioner.given = run, given
        return captioner

    def summary(self, layers: bool = False) -> str:
        """Returns a table of its layers: shapes, parameters, bytes; those of the encoder one by one with ``layers``."""
        from capsmith.models.summary import summary  # which knows captioners

        return summary(self, layers)

    def save(self, run: str | Path) -> None:
        """Writes everything that ``load`` needs into a directory."""
        run = named(run, "run")
        self.save_parts(run)
        self.save_weights(run)

    def save_parts(self, run: Path) -> None:
        """Writes what training does not change: config, vocabulary, and the encoder as it is now."""
        run.mkdir(parents=True, exist_ok=True)
        save_config(self.config, run / "config.yaml")
        write_requirements(self.config.components(), run)
        self.vocabulary.save(run / "vocabulary.json")
        if self.encoder is not None:
            save_encoders(self.encoder, run)
            keep_adapted(self.config, run)
        about = {
            "format": _FORMAT,
            "feature_shape": list(self.feature_shape),
            "vocabulary": self.vocabulary.fingerprint(),
        }
        if self.given is not None:
            about["features"] = self.given.as_dict()
        write_json(run / "captioner.json", about)

    def save_weights(self, run: Path) -> None:
        """Writes the trained weights, atomically."""
        save_weights(self.model.bare(), run / WEIGHTS)

    @overload
    def caption(
        self, images: Source, decoding: Search = ..., attention: bool = ..., on_error: OnError = ..., **settings: Any
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
        """Captions one image or several. An image's caption does not depend on the others.

        Args:
            images: A path, bytes, a PIL image or an array (H, W, 3), or a list (or other iterable) of them.
            decoding: How to search: settings such as ``BeamConfig(beam_size=3)``, or a name: ``"greedy"``,
                ``"beam"``, ``"sample"``, ``"consensus"``; by default as the config says.
            attention: Also tell where the decoder looked for each word.
            on_error: An image that cannot be read: ``"raise"`` its error, or ``"return"`` it in the image's place
                and caption the others.
            **settings: Changes of the search, such as ``beam_size=3``. Where the config's own search does not take
                them and ``decoding`` names none, it is the first that does: a beam for ``beam_size``.

        Returns:
            A ``Caption``, or a list of them for several, in their order.

        Raises:
            ImageError: An image cannot be decoded.
            ConfigError: The search is not valid, or attention is asked of a decoder that has none.
            TypeError: An argument is of the wrong type.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        require_same_process(self._process)
        chosen = chosen_decoding(decoding, self.config.decoding, settings)
        given, several = image_list(images)
        if attention:
            require_attention(self.model.decoder, self.config.decoder.type)
        size = images_at_once(chosen, len(self.vocabulary), self.config.evaluation.batch_size)
        captions: list[Caption | ImageError] = []
        for some in read_images(given, [part.image_size for part in self._parts], size, several, on_error):
            good = [pixels for pixels in some if not isinstance(pixels, ImageError)]
            made = iter(self._of_pixels(good, chosen, attention) if good else ())
            captions += [one if isinstance(one, ImageError) else next(made) for one in some]
        return captions if several else captions[0]

    def _of_pixels(self, pixels: list[list[np.ndarray]], decoding: DecodingConfig, attention: bool) -> list[Caption]:
        features = self.encode(*(np.stack(part) for part in zip(*pixels, strict=True)))
        captions = checked(self.domain, features, self.caption_features(features, decoding))
        if not attention:
            return captions
        ids = [self.vocabulary.encode_words(caption.words) for caption in captions]
        grid = tuple(int(n) for n in self._parts[0].core.output.shape[1:3])
        maps = attention_maps(self.stepper, features, ids, grid)
        return [
            replace(caption, attention=found.weights, probabilities=tuple(found.probabilities.tolist()))
            for caption, found in zip(captions, maps, strict=True)
        ]

    def features(self, images: Source | Several) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D) of images; B is 1 for a single one."""
        if not (given := image_list(images)[0]):
            return np.zeros((0, *self.feature_shape), np.float32)
        (read,) = read_images(given, [part.image_size for part in self._parts], len(given), True, "raise")
        return self.encode(*(np.stack(part) for part in zip(*read, strict=True)))

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) in 0–255, given once for each encoder at its size.

        Grids come in float16, as a feature store keeps them, so that files and stored features give the same captions;
        but not from an encoder that was trained with the decoder, whose features were never stored.
        """
        require_same_process(self._process)
        check_pixels(pixels, [part.image_size for part in self._parts])
        parts = [
            keras.ops.convert_to_numpy(see(keras.ops.convert_to_tensor(given)))
            for see, given in zip(self._encode, pixels, strict=True)
        ]
        stored = len(self.feature_shape) == 2 and not self.config.trains_encoder
        return join_features([part.astype(np.float16) for part in parts] if stored else parts)

    def caption_features(self, features: np.ndarray, decoding: Search = None, **settings: Any) -> list[Caption]:
        """Captions images by their features (B, D) or (B, L, D); ``decoding`` and ``settings`` as in ``caption``.

        Raises:
            FeatureError: They are of another shape than what the decoder was trained on, or not finite.
            ConfigError: The search is not valid.
            TypeError: An argument is of the wrong type.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        require_same_process(self._process)
        chosen = chosen_decoding(decoding, self.config.decoding, settings)
        features = checked_features(features, self.feature_shape)
        size = images_at_once(chosen, len(self.vocabulary), max(1, len(features)))
        found = (features[first : first + size] for first in range(0, len(features), size))
        return [c for some in found for c in self.worded(search(self.stepper, some, chosen), some, chosen)]

    @cached_property
    def stepper(self) -> DecoderStepper:
        """The decoder, compiled once for every search."""
        return DecoderStepper(self.model.decoder)

    @property
    def _parts(self) -> tuple[Encoder, ...]:
        if self.encoder is None and self.given is not None and self.given.encoder == "none":
            raise CheckpointError(f"this captioner {self.given.note}")
        if self.encoder is None:
            raise CheckpointError("this captioner was loaded without its encoder: it captions features alone")
        return self.encoder.parts

    @cached_property
    def _encode(self) -> list[Callable[[Any], Any]]:
        return [compiled(partial(part.model, training=False), part.model) for part in self._parts]

    def worded(self, found: list[list[Hypothesis]], features: np.ndarray, decoding: DecodingConfig) -> list[Caption]:
        """Returns what a search found for images as captions with their alternatives.

        Raises:
            CheckpointError: The decoding asks training images, and the run remembers none.
        """
        if DECODINGS.settings.is_external(decoding.type):
            require_known_words(found, len(self.vocabulary), decoding.type)
        if isinstance(decoding, ConsensusConfig):
            found = self.memory.choose(found, features, decoding)
        return [caption_of(hypotheses, self.vocabulary, self.config.text) for hypotheses in found]

    @cached_property
    def memory(self) -> Memory:
        """What the run remembers of its training images; read when it is first asked for."""
        if self.run is None:
            raise CheckpointError("this captioner remembers no training images: set its memory")
        return Memory.load(self.run, self.feature_shape[-1], len(self.vocabulary))

    @cached_property
    def domain(self) -> TrainingDomain | None:
        """What the run knows of its training images as a whole; None where it keeps nothing."""
        return None if self.run is None else TrainingDomain.load(self.run, self.feature_shape[-1])
