"""The config: one YAML file, validated into settings.

Each component owns its settings. This module combines them, reads files, applies ``--set`` and reports all errors at
once.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from capsmith.core.config_files import find_config
from capsmith.core.errors import ConfigError
from capsmith.core.files import write_text
from capsmith.core.overrides import apply_override, check_overrides
from capsmith.core.registry import UNLOADED, OneOf
from capsmith.core.schema import Settings, explain
from capsmith.core.scopes import Scope
from capsmith.core.yaml_io import dump_yaml, read_yaml
from capsmith.data.datasets import DATASETS, DatasetConfig
from capsmith.data.text.config import TextConfig
from capsmith.decoding.config import DECODINGS, DecodingConfig, GreedyConfig
from capsmith.models.decoders.config import DECODERS, DecoderConfig
from capsmith.training.config import EvaluationConfig, MemberConfig, TrainingConfig
from capsmith.vision.config import EncoderConfig, Encoders, FeaturesConfig, require_pickle_suffices

AnyDataset = Annotated[DatasetConfig, OneOf(DATASETS)]
AnyDecoder = Annotated[DecoderConfig, OneOf(DECODERS)]
AnyDecoding = Annotated[DecodingConfig, OneOf(DECODINGS)]

_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})
_REGISTRIES = {"data": DATASETS, "decoder": DECODERS, "decoding": DECODINGS}


class Config(Settings):
    """The complete settings of a training."""

    seed: Annotated[int, Scope.SEED] = Field(default=1, ge=0, lt=2**32)
    """Seed of the initial weights, the order of training images and dropout."""
    data: Annotated[AnyDataset, Scope.DATA]
    """The images and captions."""
    text: Annotated[TextConfig, Scope.INPUT] = TextConfig()
    """How captions become tokens."""
    encoder: Annotated[Encoders, Scope.INPUT] = EncoderConfig()
    """The CNN, or a list of several CNNs whose features are joined."""
    features: Annotated[FeaturesConfig, Scope.FILES] = FeaturesConfig()
    """Feature extraction and the cache of features."""
    decoder: Annotated[AnyDecoder, Scope.MODEL]
    """The language model."""
    training: Annotated[TrainingConfig, Scope.TRAINING] = TrainingConfig()
    """How the model is trained."""
    decoding: Annotated[AnyDecoding, Scope.DECODING] = GreedyConfig()
    """How captions are searched for."""
    evaluation: Annotated[EvaluationConfig, Scope.EVALUATION] = EvaluationConfig()
    """How captions are scored."""
    ensemble: Annotated[tuple[MemberConfig, ...], Scope.DECODING] = ()
    """Runs that form an ensemble with this one when captions are scored after training. Missing runs are trained."""

    @field_validator("encoder")
    @classmethod
    def _check_encoders(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("the list of encoders is empty")
            if len({encoder.output for encoder in value}) > 1:
                raise ValueError("all encoders in a list need the same output, pooled or grid")
            if len(value) > 1 and any(encoder.trainable for encoder in value):
                raise ValueError("trainable needs a single encoder: encoders of a list stay frozen")
        return value

    @model_validator(mode="after")
    def _check_sections(self) -> "Config":
        if len(self.encoders) > 1 and self.features.store is not None:
            raise ValueError("features.store is the store of one encoder, but there are several encoders: leave it out")
        if self.features.pickle is not None:
            require_pickle_suffices(self.features, self.encoders, self.trains_encoder, self.training.cached_crops)
        if self.training.cached_crops and self.trains_encoder:
            raise ValueError("training.cached_crops needs a frozen encoder: leave it out, or set trainable: false")
        if self.training.neighbours and self.trains_encoder:
            raise ValueError(
                "training.neighbours needs a frozen encoder, whose features find similar images: set it to 0"
            )
        if self.training.augment is not None and not self.trains_encoder:
            raise ValueError("training.augment needs a trainable encoder: for a frozen one use training.cached_crops")
        mirrored = self.training.cached_crops or (self.training.augment is not None and self.training.augment.mirror)
        if mirrored and self.text.mode == "subword":
            raise ValueError("mirrored images need complete words, to swap left and right: text.mode subword has none")
        if self.decoder.standardise and self.trains_encoder:
            raise ValueError("decoder.standardise needs a frozen encoder: leave it out")
        return self

    @model_validator(mode="after")
    def _check_members(self) -> "Config":
        count = len(self.encoders)
        for member in self.ensemble:
            chosen = range(count) if member.encoders is None else member.encoders
            if not chosen or not all(0 <= number < count for number in chosen):
                raise ValueError(
                    f"ensemble: {member.run} uses encoders {[*chosen]}, but there are {count}, counted from 0"
                )
        return self

    @property
    def encoders(self) -> tuple[EncoderConfig, ...]:
        """The encoders whose features are joined; usually one."""
        return self.encoder if isinstance(self.encoder, tuple) else (self.encoder,)

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder is trained together with the decoder."""
        return bool(self.encoders[0].trainable)

    def adapted_into(self, folders: Sequence[Path | None]) -> "Config":
        """Returns this config with the folders of its adapted encoders replaced.

        Args:
            folders: One for each encoder; None leaves the encoder unchanged.
        """
        encoders = tuple(
            encoder.model_copy(
                update={"pretrain_on_words": encoder.pretrain_on_words.model_copy(update={"output": folder})}
            )
            if encoder.pretrain_on_words is not None and folder is not None
            else encoder
            for encoder, folder in zip(self.encoders, folders, strict=True)
        )
        return self.model_copy(update={"encoder": encoders if isinstance(self.encoder, tuple) else encoders[0]})

    def components(self) -> Iterable[tuple[str, str]]:
        """Yields the components that this config names, by kind and name: those that a plugin can provide."""
        yield "decoder", self.decoder.type
        yield "dataset", self.data.type
        yield "decoding", self.decoding.type
        if self.decoding.rerank is not None:
            yield "reranker", self.decoding.rerank.type
        yield from (("encoder", name) for name in dict.fromkeys(encoder.type for encoder in self.encoders))
        yield from (("metric", name) for name in dict.fromkeys([*self.evaluation.metrics, self.training.metric]))


def require_config(config: Any, function: str) -> None:
    """Checks that a Python caller passed a config.

    Raises:
        TypeError: The argument is not a ``Config``; it may be a path, for example.
    """
    if not isinstance(config, Config):
        raise TypeError(f"{function} takes a Config, not {type(config).__name__}: read it with load_config")


def load_config(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    unloaded: Mapping[tuple[str, str], str] = _NONE,
) -> Config:
    """Reads and checks a config.

    Args:
        source: A path, a mapping, or a bare name, which is also looked up among capsmith's own configs.
        overrides: Changes such as ``"decoder.units=256"``; the value is read as YAML.
        unloaded: See ``validate``.

    Returns:
        The validated config.

    Raises:
        ConfigError: The file is missing, is not YAML, or is not valid. All errors of one file are reported at once.
    """
    if isinstance(source, Config) or not isinstance(source, str | Path | Mapping):
        raise TypeError(f"load_config takes a path, a name or a mapping, not {type(source).__name__}")
    overrides = check_overrides(overrides)
    if isinstance(source, Mapping):
        where, values = "config", dict(source)
    else:
        path = find_config(source)
        where, values = str(path), read_yaml(path)
    for override in overrides:
        values = apply_override(values, override, _REGISTRIES)
    return validate(values, where, unloaded)


def validate(
    values: Mapping[str, Any], where: str = "config", unloaded: Mapping[tuple[str, str], str] = _NONE
) -> Config:
    """Turns a mapping into a config.

    Args:
        values: The sections.
        where: Their source, for messages.
        unloaded: Plugin components that the config may name although they are not loaded: the plugin of each, by kind
            and name.

    Raises:
        ConfigError: The values are not valid.
    """
    try:
        return Config.model_validate(values, context={UNLOADED: unloaded})
    except ValidationError as error:
        lines = explain(error, Config)
        intro = f"{where}: " if len(lines) == 1 else f"{where} has {len(lines)} errors:\n  "
        raise ConfigError(intro + "\n  ".join(lines)) from None


def is_config(path: Path) -> bool:
    """Returns whether a file is a config, valid or not: YAML with some of the sections, and nothing else."""
    try:
        values = read_yaml(path)
    except ConfigError:
        return False
    return {"data", "decoder"} <= values.keys() <= Config.model_fields.keys()


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved config, all defaults included."""
    write_text(path, dump_yaml(config.model_dump(mode="json")))
