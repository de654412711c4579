"""The captioner: encoder, decoder and vocabulary, from pictures to sentences.

Its directory holds everything that captioning needs: ``config.yaml``, ``vocabulary.json``, ``captioner.json``, the
encoder's files and ``model.weights.h5``. Loading executes nothing from them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import keras
import numpy as np

from capsmith.adapting import keep_adapted
from capsmith.checkpoints import load_weights, save_weights
from capsmith.compiled import compiled
from capsmith.config import Config, run_config, save_config
from capsmith.consensus import ConsensusConfig
from capsmith.decoding import DECODINGS, DecodingConfig, Hypothesis, require_known_words, search
from capsmith.errors import CheckpointError, ConfigError, FeatureError
from capsmith.features.backbone import Encoder, load_encoders, save_encoders
from capsmith.features.given import GivenFeatures
from capsmith.features.images import Source, load_image
from capsmith.features.joined import JoinedEncoder
from capsmith.features.joined import join as join_features
from capsmith.looking import attention_maps
from capsmith.memory import Memory
from capsmith.network import CaptionModel
from capsmith.network import build_model as build_model
from capsmith.run_plugins import remember as remember_plugins
from capsmith.runs import named, read_json, write_json
from capsmith.stepping import DecoderStepper
from capsmith.text.tokenise import join
from capsmith.text.vocabulary import Vocabulary
from capsmith.training_domain import DomainCheck, TrainingDomain, checked

WEIGHTS = "model.weights.h5"
_PARTS = ("vocabulary.json", "captioner.json")
_FORMAT = 1


@dataclass(frozen=True)
class Caption:
    """A sentence about a picture.

    Attributes:
        text: The sentence.
        score: What the search ranked by; comparable within one picture.
        log_probability: Natural logarithm of the model's probability for it.
        alternatives: The search's other captions, best first.
        words: The sentence's words.
        attention: How much each region counted for each word, (words, rows, columns), where that was asked for.
        domain: How the image compares with the training images, where the run knows it.
        probabilities: With ``attention``, the model's probability for each word after those before it.
    """

    text: str
    score: float
    log_probability: float
    alternatives: tuple["Caption", ...] = field(default=())
    words: tuple[str, ...] = field(default=())
    attention: np.ndarray | None = field(default=None, compare=False, repr=False)
    domain: DomainCheck | None = field(default=None, compare=False, repr=False)
    probabilities: tuple[float, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


class Captioner:
    """Captions pictures.

    Args:
        config: The resolved config of the training.
        vocabulary: The words.
        model: The trained network; its decoder is built.
        feature_shape: What the decoder takes, (D,) or (L, D).
        encoder: Turns pictures into features; None when only features will be captioned.
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

    @classmethod
    def load(cls, run: str | Path, encoder: bool = True) -> "Captioner":
        """Loads a run's best checkpoint.

        Args:
            run: The run directory.
            encoder: Also load the encoder; without it only features can be captioned.

        Raises:
            CheckpointError: The directory is not a run, is incomplete, or its files do not belong together.
        """
        run = named(run, "run")
        config = run_config(run)
        if absent := [name for name in _PARTS if not (run / name).is_file()]:
            raise CheckpointError(f"{run} is incomplete: it lacks {', '.join(absent)}; copy or train the run again")
        vocabulary = Vocabulary.load(run / "vocabulary.json")
        about = read_json(run / "captioner.json", CheckpointError)
        shape = _check(about, vocabulary, run)
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
        from capsmith.summary import summary  # which knows captioners

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
        remember_plugins(self.config, run)
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
        self, images: list[Source], decoding: DecodingConfig | None = None, attention: bool = False
    ) -> list[Caption]: ...
    @overload
    def caption(self, images: Source, decoding: DecodingConfig | None = None, attention: bool = False) -> Caption: ...

    def caption(self, images: Any, decoding: DecodingConfig | None = None, attention: bool = False) -> Any:
        """Captions one picture or several.

        Args:
            images: A path, bytes, a PIL image or an array (H, W, 3), or a list of them.
            decoding: How to search; by default as the config says.
            attention: Also tell where the decoder looked for each word.

        Returns:
            A ``Caption``, or a list of them for a list.

        Raises:
            PictureError: A picture cannot be decoded.
            ConfigError: Attention is asked of a decoder that has none.
        """
        if not isinstance(images, list | tuple):
            return self.caption([images], decoding, attention)[0]
        captions: list[Caption] = []
        for some in _batches(images, self.config.evaluation.batch_size):
            features = self.features(some)
            found = checked(self.domain, features, self.caption_features(features, decoding))
            captions += self._looked(features, found) if attention else found
        return captions

    def features(self, images: Sequence[Source]) -> np.ndarray:
        """Returns the features (P, D) or (P, L, D) of pictures."""
        pixels = [np.stack([load_image(image, part.image_size) for image in images]) for part in self._parts]
        return self.encode(*pixels)

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (P, H, W, 3) in 0–255, given once for each encoder at its size."""
        seen = zip(self._encode, pixels, strict=True)
        return join_features(
            [keras.ops.convert_to_numpy(see(keras.ops.convert_to_tensor(given))) for see, given in seen]
        )

    def caption_features(self, features: np.ndarray, decoding: DecodingConfig | None = None) -> list[Caption]:
        """Captions pictures by their features (P, D) or (P, L, D).

        Raises:
            FeatureError: They are of another shape than what the decoder was trained on.
        """
        if features.shape[1:] != self.feature_shape:
            raise FeatureError(
                f"the features of a picture have shape {features.shape[1:]}, but this captioner takes "
                f"{self.feature_shape}: are they of another encoder?"
            )
        decoding = decoding or self.config.decoding
        return self.worded(search(self.stepper, features, decoding), features, decoding)

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
        """Returns what a search found for pictures as captions with their alternatives.

        Raises:
            CheckpointError: The decoding asks training pictures, and the run remembers none.
        """
        if DECODINGS.settings.outside(decoding.type):
            require_known_words(found, len(self.vocabulary), decoding.type)
        if isinstance(decoding, ConsensusConfig):
            found = self.memory.choose(found, features, decoding)
        return [self._caption(hypotheses) for hypotheses in found]

    def _caption(self, hypotheses: list[Hypothesis]) -> Caption:
        first, *others = (
            Caption(join(words, self.config.text), h.score, h.log_probability, words=tuple(words))
            for h in hypotheses
            for words in [self.vocabulary.decode(h.tokens)]
        )
        return replace(first, alternatives=tuple(others))

    @cached_property
    def memory(self) -> Memory:
        """What the run remembers of its training pictures; read when it is first asked for."""
        if self.run is None:
            raise CheckpointError("this captioner remembers no training pictures: set its memory")
        return Memory.load(self.run, self.feature_shape[-1], len(self.vocabulary))

    @cached_property
    def domain(self) -> TrainingDomain | None:
        """What the run knows of its training images as a whole; None where it keeps nothing."""
        return None if self.run is None else TrainingDomain.load(self.run, self.feature_shape[-1])

    def _looked(self, features: np.ndarray, captions: list[Caption]) -> list[Caption]:
        if not getattr(self.model.decoder, "attends", False) or self.encoder is None:
            raise ConfigError(
                f"a decoder of type {self.config.decoder.type} has no attention to show: "
                "train one with attention, such as flickr8k_attention.yaml"
            )
        grid = tuple(int(n) for n in self.encoder.parts[0].core.output.shape[1:3])
        ids = [self.vocabulary.encode_words(caption.words) for caption in captions]
        maps = attention_maps(self.stepper, features, ids, grid)
        return [
            replace(caption, attention=found.weights, probabilities=tuple(found.probabilities.tolist()))
            for caption, found in zip(captions, maps, strict=True)
        ]


def _check(about: Any, vocabulary: Vocabulary, run: Path) -> tuple[int, ...]:
    """Returns the feature shape, or raises when the files do not belong together."""
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise CheckpointError(f"{run}/captioner.json is not of this version of capsmith, or damaged")
    if about.get("vocabulary") != vocabulary.fingerprint():
        raise CheckpointError(f"{run}/vocabulary.json is not the vocabulary that this checkpoint was trained with")
    shape = about.get("feature_shape")
    sizes: list[Any] = shape if isinstance(shape, list) and len(shape) in (1, 2) else [None]
    if not all(type(n) is int and 0 < n < 10**6 for n in sizes):
        raise CheckpointError(f"{run}/captioner.json: feature_shape is damaged")
    return tuple(sizes)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
