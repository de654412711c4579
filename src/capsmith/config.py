"""The config: one YAML file, validated into settings.

Each component owns its settings. This module combines them, reads files, applies ``--set`` and reports all errors at
once.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ValidationError, model_validator

from capsmith.core.config_files import find_config
from capsmith.core.errors import ConfigError
from capsmith.core.files import write_text
from capsmith.core.overrides import apply_override, check_overrides
from capsmith.core.registry import UNLOADED, OneOf
from capsmith.core.schema import explain
from capsmith.core.scopes import Scope
from capsmith.core.yaml_io import dump_yaml, read_yaml
from capsmith.data.datasets import DATASETS
from capsmith.decoding.config import DECODINGS, DecodingConfig, GreedyConfig
from capsmith.models.decoders.config import DECODERS, DecoderConfig, EmbeddingConfig
from capsmith.training.common.config import MemberConfig, RootConfig, StageOneConfig, check_members, check_mirrors
from capsmith.training.config import EvaluationConfig, TrainingConfig
from capsmith.training.embedding.config import EmbeddingRunConfig
from capsmith.vision.config import require_pickle_suffices

AnyDecoder = Annotated[DecoderConfig, OneOf(DECODERS)]
AnyDecoding = Annotated[DecodingConfig, OneOf(DECODINGS)]

_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})
_REGISTRIES = {"data": DATASETS, "decoder": DECODERS, "decoding": DECODINGS}


class Config(RootConfig):
    """The complete settings of the training of a captioner."""

    kind: ClassVar[str] = "captioner"
    words_key: ClassVar[str] = "decoder.embedding"

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

    @model_validator(mode="after")
    def _check_sections(self) -> "Config":
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
        check_mirrors(
            self.training.cached_crops or (self.training.augment is not None and self.training.augment.mirror),
            self.text,
        )
        if self.decoder.standardise and self.trains_encoder:
            raise ValueError("decoder.standardise needs a frozen encoder: leave it out")
        check_members(self.ensemble, len(self.encoders))
        return self

    @property
    def stage_one(self) -> tuple[Path, StageOneConfig] | None:
        """The run whose weights the training starts from and the training that makes it, if the config names both."""
        settings = self.training.stage_one
        return (self.weights_from, settings) if self.weights_from is not None and settings is not None else None

    @property
    def weights_from(self) -> Path | None:
        """The run of the same model whose weights the training starts from, if any."""
        return self.training.resume_weights_from

    @property
    def transferred_from(self) -> Path | None:
        """The run or export whose weights and encoders the training takes over, if any."""
        return self.training.transfer_from

    @property
    def dev_metric(self) -> str:
        """The dev score that selects the best epoch, as the history names it."""
        from capsmith.metrics.scorer import expand

        return expand([self.training.metric])[-1]

    @property
    def extended_from(self) -> Path | None:
        """The run or export all of whose words the vocabulary keeps, if any."""
        return self.training.transfer_from if self.training.keep_words else None

    @property
    def words(self) -> EmbeddingConfig:
        """The settings of the word vectors."""
        return self.decoder.embedding

    def components(self) -> Iterable[tuple[str, str]]:
        """Yields the components that this config names, by kind and name: those that a plugin can provide."""
        yield "decoder", self.decoder.type
        yield "dataset", self.data.type
        yield "decoding", self.decoding.type
        if self.decoding.rerank is not None:
            yield "reranker", self.decoding.rerank.type
        yield from (("encoder", name) for name in dict.fromkeys(encoder.type for encoder in self.encoders))
        yield from (("metric", name) for name in dict.fromkeys([*self.evaluation.metrics, self.training.metric]))


AnyConfig = Config | EmbeddingRunConfig
"""The config of a captioner, or of a joint embedding."""
_SECTIONS: dict[str, type[RootConfig]] = {"decoder": Config, "embedding": EmbeddingRunConfig}
KIND_NAMES = {"captioner": "a captioner", "embedding": "a joint embedding"}
"""What messages call each kind."""
C = TypeVar("C", bound=RootConfig)


def require_config(config: Any, function: str) -> None:
    """Checks that a Python caller passed a config.

    Raises:
        TypeError: The argument is not a config; it may be a path, for example.
    """
    if not isinstance(config, RootConfig):
        raise TypeError(f"{function} takes a Config, not {type(config).__name__}: read it with load_config")


def load_config(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    unloaded: Mapping[tuple[str, str], str] = _NONE,
) -> AnyConfig:
    """Reads and checks a config.

    Its sections decide its kind: a captioner has ``decoder``, a joint embedding has ``embedding``.

    Args:
        source: A path, a mapping, or a bare name, which is also looked up among capsmith's own configs.
        overrides: Changes such as ``"decoder.units=256"``; the value is read as YAML.
        unloaded: See ``validate``.

    Returns:
        The validated config.

    Raises:
        ConfigError: The file is missing, is not YAML, or is not valid. All errors of one file are reported at once.
    """
    if isinstance(source, RootConfig) or not isinstance(source, str | Path | Mapping):
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


def captioner_config(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    unloaded: Mapping[tuple[str, str], str] = _NONE,
) -> Config:
    """Reads and checks the config of a captioner; arguments and errors as ``load_config``."""
    return of_kind(
        load_config(source, overrides, unloaded), Config, f"{source}" if isinstance(source, str | Path) else "config"
    )


def validate(
    values: Mapping[str, Any], where: str = "config", unloaded: Mapping[tuple[str, str], str] = _NONE
) -> AnyConfig:
    """Turns a mapping into a config.

    Args:
        values: The sections.
        where: Their source, for messages.
        unloaded: Plugin components that the config may name although they are not loaded: the plugin of each, by kind
            and name.

    Raises:
        ConfigError: The values are not valid.
    """
    kind = config_kind(values, where)
    try:
        return kind.model_validate(values, context={UNLOADED: unloaded})
    except ValidationError as error:
        lines = explain(error, kind)
        if "decoder: required" in lines:
            lines[lines.index("decoder: required")] = "decoder: required (or embedding, for a joint embedding)"
        intro = f"{where}: " if len(lines) == 1 else f"{where} has {len(lines)} errors:\n  "
        raise ConfigError(intro + "\n  ".join(lines)) from None


def config_kind(values: Mapping[str, Any], where: str = "config") -> type[AnyConfig]:
    """Returns the class of a config by its sections.

    Raises:
        ConfigError: It has the sections of both kinds.
    """
    if "embedding" not in values:
        return Config
    if "decoder" in values:
        raise ConfigError(
            f"{where} has the sections decoder and embedding: a captioner has the first, a joint embedding the second; "
            "remove one of them"
        )
    return EmbeddingRunConfig


def of_kind(config: RootConfig, kind: type[C], where: str) -> C:
    """Returns a config that must be of one kind.

    Raises:
        ConfigError: It is of another.
    """
    if not isinstance(config, kind):
        raise ConfigError(
            f"{where} is the config of {KIND_NAMES[config.kind]}, but this needs that of {KIND_NAMES[kind.kind]}"
        )
    return config


def is_config(path: Path) -> bool:
    """Returns whether a file is a config, valid or not: YAML with some of the sections, and nothing else."""
    try:
        values = read_yaml(path)
    except ConfigError:
        return False
    return any({"data", name} <= values.keys() <= kind.model_fields.keys() for name, kind in _SECTIONS.items())


def save_config(config: RootConfig, path: Path) -> None:
    """Writes the resolved config, all defaults included."""
    write_text(path, dump_yaml(config.model_dump(mode="json")))
