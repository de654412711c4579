"""``--set section.key=value``: one change of what a config file says."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.registry import Registry
from capsmith.core.yaml_io import VALUE_ERRORS, parse

Registries = Mapping[str, Registry]


def overrides_list(overrides: Iterable[str]) -> list[str]:
    """Returns overrides as a list.

    Raises:
        TypeError: They are one text, or not all of them are texts.
    """
    if isinstance(overrides, str) or not isinstance(overrides, Iterable):
        raise TypeError(f'overrides are a list such as ["decoding.beam_size=3"], not {type(overrides).__name__}')
    several = list(overrides)
    for place, one in enumerate(several):
        if not isinstance(one, str):
            raise TypeError(f'overrides[{place}] is {type(one).__name__}, not a text such as "decoding.beam_size=3"')
    return several


def override_in(values: dict[str, Any], override: str, registries: Registries) -> dict[str, Any]:
    """Returns values with one ``section.key=value`` applied.

    Args:
        values: What a config file says.
        override: The change; the value is YAML. A place in a list is its number, from 0: ``encoder.1.weights=…``.
        registries: The sections whose ``type`` decides their keys: a new type drops those that it does not take.

    Raises:
        ConfigError: It is not of that form, or names what is no section.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    override = escaped(override)[:80]  # what messages show of it
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: write it as section.key=value")
    try:
        value = parse(text)
    except (yaml.YAMLError, RecursionError, *VALUE_ERRORS) as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML") from error
    return _put(values, keys, value, override, registries)


def _put(
    values: dict[str, Any], keys: list[str], value: Any, override: str, registries: Mapping[str, Registry]
) -> dict[str, Any]:
    head, *rest = keys
    if rest and isinstance(values.get(head), list):
        return {**values, head: _put_in_list(values[head], rest, value, override, registries)}
    if not rest:
        changed = {**values, head: value}
    else:
        inner = values.get(head)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {escaped(head)[:80]} is not a section")
        changed = {**values, head: _put(inner or {}, rest, value, override, registries)}
        if rest == ["type"] and head in registries:
            known = registries[head].settings
            settings = known.get(known.find(str(value)) or "")
            if settings is not None:
                kept = {k: v for k, v in changed[head].items() if k in settings.model_fields}
                changed[head] = kept
    return changed


def _put_in_list(
    items: list[Any], keys: list[str], value: Any, override: str, registries: Mapping[str, Registry]
) -> list[Any]:
    index, *rest = keys
    if not index.isdecimal() or len(index) > 9 or int(index) >= len(items):
        raise ConfigError(
            f"--set {override}: a list of {len(items)} has places 0 to {len(items) - 1}, not {index[:80]!r}"
        )
    item = items[int(index)]
    if rest and not isinstance(item, dict):
        raise ConfigError(f"--set {override}: place {index} is not a section")
    new = _put(item, rest, value, override, registries) if rest else value
    return [new if place == int(index) else other for place, other in enumerate(items)]
