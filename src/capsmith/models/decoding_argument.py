"""The search that a call of a captioner asks for."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from capsmith.core.errors import ConfigError
from capsmith.core.schema import explain
from capsmith.decoding.choice import choose
from capsmith.decoding.config import DECODINGS, DecodingConfig

Search = DecodingConfig | str | None
"""Settings of a search, the name of a search, or None for the search of the config."""


def chosen_decoding(requested: Any, own: DecodingConfig, settings: Mapping[str, Any]) -> DecodingConfig:
    """Returns the settings of the search that a call requests.

    Args:
        requested: Settings of a search; or a name, whose search inherits the settings that it shares with ``own``; or
            None: ``own``, or if that lacks one of ``settings``, the first search that has all of them.
        own: The search of the run.
        settings: Changes, such as ``beam_size``.

    Raises:
        ConfigError: There is no such search, or a setting is unknown or invalid.
        TypeError: ``requested`` has another type.
    """
    if isinstance(requested, DecodingConfig) or (requested is None and not settings):
        base = own if requested is None else requested
        return _validated(type(base), {**base.model_dump(), **settings}) if settings else base
    if requested is not None and not isinstance(requested, str):
        raise TypeError(f"decoding is the name of a search, or its settings, not {type(requested).__name__}")
    kinds = {**DECODINGS.settings, own.type: type(own)}
    fields = {name: kind.model_fields.keys() for name, kind in kinds.items()}
    name, values = choose(requested, own.model_dump(), settings, fields, DECODINGS.retired)
    return _validated(kinds[name], values)


def _validated(kind: type[Any], values: Mapping[str, Any]) -> DecodingConfig:
    try:
        validated: DecodingConfig = kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error, kind, "decoding"))) from None
    return validated
