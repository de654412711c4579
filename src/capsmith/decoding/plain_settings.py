"""Settings of searches and rerankers without pydantic, with the same fields, bounds, rules and messages as ``config``.

The fields come from ``settings.json`` in this folder, which ``python -m tools.plain_schemas`` writes.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from capsmith.core.errors import ConfigError
from capsmith.core.plain_settings import PlainSettings, Section, read_schemas
from capsmith.decoding.choice import choose
from capsmith.decoding.rules import BeamRules, GreedyRules, MbrRules, SampleRules, SearchRules

SCHEMAS = Path(__file__).with_name("settings.json")


class PlainSearch(SearchRules, PlainSettings):
    """Settings of a search."""

    type: str


class PlainGreedy(GreedyRules, PlainSearch):
    """Greedy search."""


class PlainBeam(BeamRules, PlainSearch):
    """Beam search."""


class PlainSample(SampleRules, PlainSearch):
    """Random captions."""


class PlainMbr(MbrRules, PlainSettings):
    """MBR reranking."""


_SEARCHES: dict[str, type[PlainSettings]] = {"greedy": PlainGreedy, "beam": PlainBeam, "sample": PlainSample}
_RERANKERS: dict[str, type[PlainSettings]] = {"mbr": PlainMbr}


def settings_from(values: Mapping[str, Any]) -> Any:
    """Returns the settings of a search.

    Args:
        values: The ``decoding`` section of a config, or a part of it: other fields have their defaults.

    Raises:
        ConfigError: Values are not valid, or the search or its reranker is a plugin's.
    """
    section, _ = _sections()
    if (kind := section.find(values.get("type"))) is None:
        known = ", ".join(_SEARCHES)
        raise ConfigError(f"decoding.type: {values.get('type')!r:.80} is not a search of capsmith (one of: {known})")
    return section.make(kind, {**values, "type": kind}, "decoding")


def changed(own: PlainSearch, decoding: Any = None, **changes: Any) -> Any:
    """Returns the search that a call asks for.

    Args:
        own: The captioner's own search.
        decoding: Settings of a search; or a name, whose search inherits the settings that it shares with ``own``; or
            None: ``own``, or if that lacks one of ``changes``, the first search that has all of them.
        **changes: New values, such as ``beam_size``.

    Raises:
        ConfigError: There is no such search, or a setting is unknown or invalid.
        TypeError: ``decoding`` has another type.
    """
    section, retired = _sections()
    if decoding is None and not changes:
        return own
    if decoding is not None and not isinstance(decoding, str):
        if not hasattr(decoding, "model_dump"):
            raise TypeError(f"decoding is the name of a search, or its settings, not {type(decoding).__name__}")
        return settings_from({**decoding.model_dump(), **changes})
    kinds = {name: section.fields(name) for name in _SEARCHES}
    kind, values = choose(decoding, own.model_dump(), changes, kinds, retired)
    return section.make(kind, values, "decoding")


@cache
def _sections() -> tuple[Section, Mapping[str, str]]:
    schemas = read_schemas(SCHEMAS)
    rerankers = Section(schemas["reranker"], _RERANKERS)
    return Section(schemas["decoding"], _SEARCHES, {"reranker": rerankers}), schemas["retired"]
