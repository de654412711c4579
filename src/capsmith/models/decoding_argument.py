"""The search that a call of a captioner asks for."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from capsmith.core.errors import ConfigError
from capsmith.core.schema import explain
from capsmith.core.spelling import nearest
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
    if requested is None:
        candidates = [kind for kind in DECODINGS.settings.values() if settings.keys() <= kind.model_fields.keys()]
        kind = type(own) if type(own) in candidates or not candidates else candidates[0]
    elif not isinstance(requested, str):
        raise TypeError(f"decoding is the name of a search, or its settings, not {type(requested).__name__}")
    elif requested in DECODINGS.retired:
        raise ConfigError(f"decoding: {DECODINGS.retired[requested]}")
    elif requested not in DECODINGS.settings:
        known = DECODINGS.names()
        raise ConfigError(
            f"decoding: {requested!r:.80} is not a search{nearest(requested, known)} (one of: {', '.join(known)})"
        )
    else:
        kind = DECODINGS.settings[requested]
    shared = {key: value for key, value in own.model_dump().items() if key in kind.model_fields and key != "type"}
    return _validated(kind, {**shared, **settings})


def _validated(kind: type[Any], values: Mapping[str, Any]) -> DecodingConfig:
    try:
        validated: DecodingConfig = kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(f"decoding.{line}" for line in explain(error, kind))) from None
    return validated
