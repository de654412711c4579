"""``--set section.key=value``: overrides of the values of a config file."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.registry import Registry
from capsmith.core.yaml_io import VALUE_ERRORS, parse_yaml

Registries = Mapping[str, Registry]


def check_overrides(overrides: Iterable[str]) -> list[str]:
    """Returns overrides as a list.

    Raises:
        TypeError: The argument is a single string, or an item is not a string.
    """
    if isinstance(overrides, str) or not isinstance(overrides, Iterable):
        raise TypeError(f'overrides are a list such as ["decoding.beam_size=3"], not {type(overrides).__name__}')
    checked = list(overrides)
    for number, override in enumerate(checked):
        if not isinstance(override, str):
            kind = type(override).__name__
            raise TypeError(f'overrides[{number}] is {kind}, not a string such as "decoding.beam_size=3"')
    return checked


def apply_override(values: dict[str, Any], override: str, registries: Registries) -> dict[str, Any]:
    """Returns values with one ``section.key=value`` applied.

    Args:
        values: The content of a config file.
        override: The override; its value is YAML. An item of a list is named by its index, from 0:
            ``encoder.1.weights=…``.
        registries: The sections whose ``type`` determines their keys: a new type drops the keys that it lacks.

    Raises:
        ConfigError: The override is not of this form, or its path goes through a value that is not a section.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    override = escaped(override)[:80]  # for messages
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: write it as section.key=value")
    try:
        value = parse_yaml(text)
    except (yaml.YAMLError, RecursionError, *VALUE_ERRORS) as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML") from error
    return _put(values, keys, value, override, registries)


def _put(values: dict[str, Any], keys: list[str], value: Any, override: str, registries: Registries) -> dict[str, Any]:
    head, *rest = keys
    if rest and isinstance(values.get(head), list):
        return {**values, head: _put_in_list(values[head], rest, value, override, registries)}
    if not rest:
        return {**values, head: value}
    inner = values.get(head)
    if inner is not None and not isinstance(inner, dict):
        raise ConfigError(f"--set {override}: {escaped(head)[:80]} is not a section")
    section = _put(inner or {}, rest, value, override, registries)
    if rest == ["type"] and head in registries:
        known = registries[head].settings
        settings = known.get(known.find(str(value)) or "")
        if settings is not None:
            section = {key: item for key, item in section.items() if key in settings.model_fields}
    return {**values, head: section}


def _put_in_list(items: list[Any], keys: list[str], value: Any, override: str, registries: Registries) -> list[Any]:
    index, *rest = keys
    if not index.isdecimal() or len(index) > 9 or int(index) >= len(items):
        raise ConfigError(
            f"--set {override}: a list of {len(items)} items has indices 0 to {len(items) - 1}, not {index[:80]!r}"
        )
    item = items[int(index)]
    if rest and not isinstance(item, dict):
        raise ConfigError(f"--set {override}: item {index} is not a section")
    new = _put(item, rest, value, override, registries) if rest else value
    return [new if number == int(index) else other for number, other in enumerate(items)]
