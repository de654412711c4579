"""Settings of third-party captioners."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import ValidationError

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.overrides import apply_override, check_overrides
from capsmith.core.registry import OneOf
from capsmith.core.schema import Settings, explain
from capsmith.data.text.config import TextConfig
from capsmith.decoding.config import DECODINGS, BeamConfig, DecodingConfig, GreedyConfig
from capsmith.models.external.generation import Generation


class ExternalConfig(Settings):
    """What a third-party captioner has of a config."""

    text: TextConfig = TextConfig()
    """How captions become words."""
    decoding: Annotated[DecodingConfig, OneOf(DECODINGS)]
    """How captions are searched for."""


def external_config(name: str, decoding: DecodingConfig, overrides: Sequence[str] = ()) -> ExternalConfig:
    """Returns the config of an engine, with changes.

    Args:
        name: The engine, for messages.
        decoding: Its search by default.
        overrides: Changes to the search, such as ``"decoding.beam_size=3"``.

    Raises:
        ConfigError: A change is invalid, or is one of something else.
    """
    values: dict[str, Any] = {"decoding": decoding.model_dump()}
    for override in check_overrides(overrides):
        if not override.strip().startswith("decoding."):
            raise ConfigError(f"--set {escaped(override)[:80]}: of {name} only decoding can be changed")
        values = apply_override(values, override, {"decoding": DECODINGS})
    try:
        return ExternalConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error, ExternalConfig))) from None


def generation_of(name: str, decoding: DecodingConfig, obeyed: Collection[str]) -> Generation:
    """Returns a search as engines take it.

    Args:
        name: The engine, for messages.
        decoding: The search.
        obeyed: The settings that the engine obeys.

    Raises:
        ConfigError: The search has a setting that the engine does not obey.
    """
    if not isinstance(decoding, BeamConfig | GreedyConfig):
        raise ConfigError(f"decoding.type: {name} has no {decoding.type}; use greedy or beam")
    values: Mapping[str, Any] = {"beam_size": 1, "length_penalty": 1.0, **decoding.model_dump()}
    ignored = [key for key in values if key not in {"type", "max_length", *obeyed} and _is_set(decoding, key)]
    if decoding.type == "beam" and "beam_size" not in obeyed and values["beam_size"] > 1:
        ignored = ["beam_size"]
    if ignored:
        raise ConfigError(f"decoding.{ignored[0]}: {name} does not have this setting; remove it")
    n = values["n"] or 1
    beams = max(values["beam_size"], n) if "beam_size" in obeyed and decoding.type == "beam" else values["beam_size"]
    return Generation(beams, values["max_length"], values["prefix"], n, values["length_penalty"])


def _is_set(decoding: DecodingConfig, key: str) -> bool:
    field = type(decoding).model_fields.get(key)
    return field is not None and getattr(decoding, key) != field.get_default(call_default_factory=True)
