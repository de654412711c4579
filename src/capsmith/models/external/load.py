"""Loads third-party captioners by their names."""

import importlib
from collections.abc import Sequence
from typing import Any

from capsmith.core.errors import ConfigError, escaped
from capsmith.models.external.captioner import ExternalCaptioner
from capsmith.models.external.names import PREFIXES


def load_external(name: str, overrides: Sequence[str] = ()) -> ExternalCaptioner:
    """Loads a third-party captioner.

    Args:
        name: ``blip:FOLDER``, ``blip:OWNER/NAME``, ``hub:PRESET``, ``hub:FOLDER`` or ``exec:COMMAND``.
        overrides: Changes to its search, such as ``"decoding.beam_size=3"``.

    Raises:
        CheckpointError: Its files are incomplete or damaged, or hold another kind of model.
        ConfigError: The name is unknown, or its files cannot be had; or a change is invalid.
        MissingExtraError: A package is not installed.
    """
    prefix, _, rest = name.partition(":")
    if prefix not in PREFIXES:
        known = ", ".join(f"{one}:" for one in PREFIXES)
        raise ConfigError(f"{escaped(name)[:80]}: a third-party captioner begins with one of {known}")
    module, _, function = PREFIXES[prefix].partition(":")
    engine: Any = getattr(importlib.import_module(module), function)(rest)
    return ExternalCaptioner(engine, overrides)
