"""One trained model as a Keras network: config, vocabulary, network and encoder, saved in and loaded from a run.

B images · L regions · D channels.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from capsmith.config import Config, save_config
from capsmith.core.errors import CheckpointError
from capsmith.core.files import read_json, write_json
from capsmith.core.plugin_requirements import write_requirements
from capsmith.core.readers.file_schema import FileSchema
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.stepper import DecoderStepper
from capsmith.models.arguments import check_pixels
from capsmith.models.caption_model import CaptionModel, build_model
from capsmith.models.checkpoints import load_weights, save_weights
from capsmith.models.compiled_encoders import CompiledEncoders, join_as_stored
from capsmith.models.feature_origin import FeatureOrigin
from capsmith.models.judge_copy import require_same_judge
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.models.training_domain import TrainingDomain
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.caption_judge import CaptionJudge
from capsmith.retrieval.judge_file import StoredJudge
from capsmith.vision.encoder import AnyEncoder, Encoder, join_encoders
from capsmith.vision.file_encoder import FileEncoder
from capsmith.vision.regions import grid_of
from capsmith.vision.saved_encoder import load_encoder, load_encoders, save_encoders


class _SavedMember(FileSchema):
    """``captioner.json``."""

    format: Literal[1]
    feature_shape: list[Annotated[int, Field(gt=0, lt=10**6)]] = Field(min_length=1, max_length=2)
    vocabulary: str
    features: Any = None


@dataclass(frozen=True, eq=False)
class KerasMember:
    """One trained model; implements ``member.Member``.

    Attributes:
        config: The resolved config.
        vocabulary: The words.
        model: The network; its decoder is built.
        feature_shape: Shape of the features of one image, (D,) or (L, D).
        encoder: Turns images into features; None if only features are captioned.
        run: The run directory, if the model was loaded from one.
        feature_origin: The pickle whose features the model was trained on, if any.
    """

    config: Config
    vocabulary: Vocabulary
    model: CaptionModel
    feature_shape: tuple[int, ...]
    encoder: AnyEncoder | None = None
    run: RunDirectory | None = None
    feature_origin: FeatureOrigin | None = None

    @classmethod
    def load(
        cls,
        run: str | Path,
        encoder: bool = True,
        config: Config | None = None,
        frozen: dict[str, Encoder | FileEncoder] | None = None,
    ) -> "KerasMember":
        """Loads the best checkpoint of a run. Nothing in the run is executed.

        Args:
            run: The run directory.
            encoder: Also load the encoder. An encoder that was trained is part of the model, and always loaded.
            config: The run's config with overrides; by default as saved.
            frozen: Frozen encoders that were loaded before, to be shared among members; newly loaded ones are added.

        Raises:
            CheckpointError: The directory is not a run, is incomplete, or its files do not belong together.
        """
        directory = RunDirectory.named(run)
        config = config or run_config(directory.path)
        directory.require_complete()
        vocabulary = Vocabulary.load(directory.vocabulary)
        content, advice = read_json(directory.captioner, CheckpointError), "copy or train the run again"
        saved = _SavedMember.check(content, directory.captioner, CheckpointError, advice)
        if saved.vocabulary != vocabulary.sha256():
            raise CheckpointError(
                f"{directory.vocabulary} is not the vocabulary with which this checkpoint was trained"
            )
        shape = tuple(saved.feature_shape)
        origin = FeatureOrigin.read(saved.features, str(directory.captioner))
        has_encoder = origin is None or origin.encoder != "none"
        needs_encoder = has_encoder and (encoder or config.trains_encoder)
        loaded = _load_encoders(config, directory, frozen) if needs_encoder else None
        if loaded is not None and loaded.feature_shape != shape:
            raise CheckpointError(
                f"{directory.captioner}: feature_shape is {shape}, but its encoder has {loaded.feature_shape}"
            )
        model = build_model(config, vocabulary, shape, loaded)
        load_weights(model, directory.weights)
        return cls(config, vocabulary, model, shape, loaded, directory, origin)

    def save(self, run: str | Path) -> None:
        """Writes everything that ``load`` needs into a directory."""
        self.save_parts(run)
        self.save_weights(run)

    def save_parts(self, run: str | Path) -> None:
        """Writes everything that training does not change: config, vocabulary, and the encoder in its present state."""
        directory = RunDirectory.named(run)
        directory.path.mkdir(parents=True, exist_ok=True)
        save_config(self.config, directory.config)
        write_requirements(self.config.components(), directory.plugins)
        self.vocabulary.save(directory.vocabulary)
        if self.encoder is not None:
            save_encoders(self.encoder, directory.path)
        saved = _SavedMember(
            format=1,
            feature_shape=list(self.feature_shape),
            vocabulary=self.vocabulary.sha256(),
            features=self.feature_origin.model_dump() if self.feature_origin is not None else None,
        )
        write_json(directory.captioner, saved.model_dump(exclude_none=True))

    def save_weights(self, run: str | Path) -> None:
        """Writes the trained weights, atomically."""
        save_weights(self.model.without_optimizer(), RunDirectory.named(run).weights)

    @cached_property
    def stepper(self) -> DecoderStepper:
        """The decoder, compiled once for all searches."""
        return DecoderStepper(self.model.decoder)

    @property
    def attends(self) -> bool:
        """Whether the decoder attends to regions."""
        return bool(getattr(self.model.decoder, "attends", False))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; joined grids have those of the first encoder."""
        if self.encoder is not None:
            return self.encoder.parts[0].grid
        return grid_of(self.feature_shape[0], (1, 1)) if len(self.feature_shape) == 2 else (1, 1)

    def load_domain(self) -> TrainingDomain | None:
        """Reads the summary of the training images; None if the run has none."""
        return None if self.run is None else TrainingDomain.load(self.run.domain, self.feature_shape[-1])

    def load_caption_index(self) -> CaptionIndex:
        """Reads the captions of the training images.

        Raises:
            CheckpointError: There are none.
        """
        if self.run is None:
            raise CheckpointError("this captioner has no caption index, which reranking needs: pass one")
        return CaptionIndex.load(self.run.path, self.feature_shape[-1], len(self.vocabulary))

    def load_caption_judge(self, embedding: Path) -> CaptionJudge:
        """Reads the run's copy of a joint embedding.

        Raises:
            CheckpointError: There is none, or it is a copy of another embedding.
        """
        if self.run is None:
            raise CheckpointError("this captioner has no run, whose copy of the joint embedding reranking needs")
        judge = StoredJudge.load(self.run.path, self.feature_shape[-1])
        require_same_judge(judge, embedding)
        return judge.judge(self.vocabulary, self.config.text, self.feature_shape)

    @property
    def encoders(self) -> tuple[Encoder | FileEncoder, ...]:
        """The encoders, whose features are joined.

        Raises:
            CheckpointError: The model has no encoder, or was loaded without it.
        """
        if self.encoder is None and self.feature_origin is not None and self.feature_origin.encoder == "none":
            raise CheckpointError(f"this captioner {self.feature_origin.note}")
        if self.encoder is None:
            raise CheckpointError("this captioner was loaded without its encoder: it can caption only features")
        return self.encoder.parts

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D) of pixels (B, H, W, 3) in 0–255, one array for each encoder."""
        check_pixels(pixels, [encoder.image_size for encoder in self.encoders])
        return self.join([self.encode_with(number, array) for number, array in enumerate(pixels)])

    def encode_with(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) from one of the encoders."""
        return self._compiled.encode_with(number, pixels)

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the features of the encoders into what the decoder reads."""
        return join_as_stored(parts, frozen=not self.config.trains_encoder)

    @cached_property
    def _compiled(self) -> CompiledEncoders:
        return CompiledEncoders(self.encoders)


def _load_encoders(config: Config, run: RunDirectory, frozen: dict[str, Encoder | FileEncoder] | None) -> AnyEncoder:
    if frozen is None or config.trains_encoder:
        return load_encoders(config.encoders, run.path)
    parts = []
    for settings, folder in zip(config.encoders, run.encoders(len(config.encoders)), strict=True):
        key = settings.model_dump_json() + json.dumps(read_json(folder.description, CheckpointError))
        if key not in frozen:
            frozen[key] = load_encoder(settings, folder.path)
        parts.append(frozen[key])
    return join_encoders(parts)
