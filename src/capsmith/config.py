"""The config: one YAML file that becomes settings.

Every component owns its settings; this module puts them together, reads files, applies ``--set`` and lists all errors.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from capsmith.core.config_files import find_config
from capsmith.core.errors import ConfigError
from capsmith.core.files import write_text
from capsmith.core.overrides import override_in, overrides_list
from capsmith.core.registry import ABSENT, OneOf
from capsmith.core.schema import Settings, explain
from capsmith.core.yaml_io import dump, read_yaml
from capsmith.data import DATASETS, DatasetConfig
from capsmith.data.text.config import TextConfig
from capsmith.decoding.rerank.mbr import ConsensusConfig  # noqa: F401 - importing registers it
from capsmith.decoding.search import DECODINGS, DecodingConfig, GreedyConfig
from capsmith.models.decoders.config import DECODERS, DecoderConfig
from capsmith.training.config import EvaluationConfig, MemberConfig, TrainingConfig
from capsmith.vision.config import EncoderConfig, Encoders, FeaturesConfig, require_given

AnyDataset = Annotated[DatasetConfig, OneOf(DATASETS)]
AnyDecoder = Annotated[DecoderConfig, OneOf(DECODERS)]
AnyDecoding = Annotated[DecodingConfig, OneOf(DECODINGS)]

_NONE: Mapping[tuple[str, str], str] = MappingProxyType({})
_REGISTRIES = {"data": DATASETS, "decoder": DECODERS, "decoding": DECODINGS}


class Config(Settings):
    """Everything that a training depends on."""

    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of weights, order and dropout."""
    data: AnyDataset
    """The images and captions."""
    text: TextConfig = TextConfig()
    """How captions become tokens."""
    encoder: Encoders = EncoderConfig()
    """The CNN, or a list of several whose features are joined."""
    features: FeaturesConfig = FeaturesConfig()
    """The cache of what the CNN says of each image."""
    decoder: AnyDecoder
    """The language model."""
    training: TrainingConfig = TrainingConfig()
    """How it learns."""
    decoding: AnyDecoding = GreedyConfig()
    """How captions are searched for."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How they are scored."""
    ensemble: tuple[MemberConfig, ...] = ()
    """Runs that write along when captions are scored after training; those that are missing are trained too."""

    @field_validator("encoder")
    @classmethod
    def _joinable(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("an empty list names no encoder")
            if len({one.output for one in value}) > 1:
                raise ValueError("encoders are joined as pooled vectors or as grids: give all the same output")
            if len(value) > 1 and any(one.trainable for one in value):
                raise ValueError("several encoders are joined as they are: trainable takes a single one")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> "Config":
        if len(self.encoders) > 1 and self.features.store is not None:
            raise ValueError("features.store is one store, but there are several encoders: leave it out")
        if self.features.pickle is not None:
            require_given(self.features, self.encoders, self.trains_encoder, self.training.views)
        if self.training.views and self.trains_encoder:
            raise ValueError("training.views are views for frozen encoders: leave it out, or set trainable: false")
        if self.training.augment is not None and not self.trains_encoder:
            raise ValueError("training.augment varies images while their encoder learns: for a frozen one take views")
        turned = self.training.views or (self.training.augment is not None and self.training.augment.mirror)
        if turned and self.text.mode == "subword":
            raise ValueError("mirrored images exchange left and right word by word: not with text.mode subword")
        if self.decoder.standardise and self.trains_encoder:
            raise ValueError("decoder.standardise is for features of frozen encoders: leave it out")
        return self

    @model_validator(mode="after")
    def _members_see(self) -> "Config":
        count = len(self.encoders)
        for member in self.ensemble:
            places = range(count) if member.encoders is None else member.encoders
            if not places or not all(0 <= place < count for place in places):
                raise ValueError(
                    f"ensemble: {member.run} asks for encoders {[*places]}; there are {count}, counted from 0"
                )
        return self

    @property
    def encoders(self) -> tuple[EncoderConfig, ...]:
        """The encoders whose features are joined; most often one."""
        return self.encoder if isinstance(self.encoder, tuple) else (self.encoder,)

    def adapted_into(self, folders: Sequence[Path | None]) -> "Config":
        """Returns this config with its adapted encoders kept elsewhere: a folder for each encoder, None as it is."""
        kept = tuple(
            one.model_copy(update={"adapt": one.adapt.model_copy(update={"into": folder})})
            if one.adapt is not None and folder is not None
            else one
            for one, folder in zip(self.encoders, folders, strict=True)
        )
        return self.model_copy(update={"encoder": kept if isinstance(self.encoder, tuple) else kept[0]})

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder learns together with the decoder."""
        return bool(self.encoders[0].trainable)


def require_config(config: Any, function: str) -> None:
    """Sees that a Python caller gave a config.

    Raises:
        TypeError: It is something else, such as a path.
    """
    if not isinstance(config, Config):
        raise TypeError(f"{function} takes a Config, not {type(config).__name__}: read it with load_config")


def load_config(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    absent: Mapping[tuple[str, str], str] = _NONE,
) -> Config:
    """Reads and checks a config.

    Args:
        source: A path, a bare name that is also found among capsmith's own configs, or a mapping.
        overrides: Changes such as ``"decoder.units=256"``; the value is read as YAML.
        absent: See ``validate``.

    Returns:
        The validated config.

    Raises:
        ConfigError: Not found, not YAML, or not valid; all errors of one file are told at once.
    """
    if isinstance(source, Config) or not isinstance(source, str | Path | Mapping):
        raise TypeError(f"load_config takes a path, a name or a mapping, not {type(source).__name__}")
    overrides = overrides_list(overrides)
    if isinstance(source, Mapping):
        where, values = "config", dict(source)
    else:
        path = find_config(source)
        where, values = str(path), read_yaml(path)
    for override in overrides:
        values = override_in(values, override, _REGISTRIES)
    return validate(values, where, absent)


def validate(values: Mapping[str, Any], where: str = "config", absent: Mapping[tuple[str, str], str] = _NONE) -> Config:
    """Turns a mapping into a config.

    Args:
        values: What it says.
        where: Its source, for messages.
        absent: By kind and name, the components of plugins that it may name though they are not loaded.
    """
    try:
        return Config.model_validate(values, context={ABSENT: absent})
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


def difference(before: Config, now: Config, sections: AbstractSet[str], keys: AbstractSet[str] = frozenset()) -> str:
    """Returns the first key that differs, as in ``decoder.units: 256, now 512``; empty when none does.

    Args:
        before: One config.
        now: The other.
        sections: What may differ as a whole, such as ``{"evaluation"}``.
        keys: What else may differ, such as ``{"data.root"}``.
    """
    old, new = before.model_dump(mode="json"), now.model_dump(mode="json")
    for section in [name for name in old if name not in sections]:
        olds, news = (_flat(section, v[section]) for v in (old, new))
        for path in {**olds, **news}:
            if re.sub(r"\.\d+", "", path) not in keys and olds.get(path) != news.get(path):
                return f"{path}: {olds.get(path)}, now {news.get(path)}"
    return ""


def model_difference(one: Config, other: Config, may_differ: Collection[str] = ()) -> str:
    """Returns the first key by which two configs describe models whose weights do not fit each other; else empty.

    Args:
        one: A config.
        other: The other.
        may_differ: Keys that may differ besides those that never matter.
    """
    sections = set(Config.model_fields) - {"text", "encoder", "decoder"}
    never = {
        "encoder.weights",
        "encoder.adapt.into",
        "decoder.embedding.vectors",
        "decoder.dropout",
        "decoder.word_dropout",
    }
    return difference(one, other, sections, never | set(may_differ))


def _flat(section: str, value: Any) -> dict[str, Any]:
    """Returns the values of a section by path, as in ``encoder.weights``, or ``encoder.0.weights`` of several."""
    if isinstance(value, dict):
        return {path: v for key, inner in value.items() for path, v in _flat(f"{section}.{key}", inner).items()}
    if isinstance(value, list):
        return {path: v for index, inner in enumerate(value) for path, v in _flat(f"{section}.{index}", inner).items()}
    return {section: value}


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved config, every default included."""
    write_text(path, dump(config.model_dump(mode="json")))
