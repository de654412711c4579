"""The table of renamed config keys, from the settings classes: old name, new name, section."""

from collections.abc import Iterator

from capsmith.config import Config
from capsmith.core.registry import REGISTRIES, OneOf
from capsmith.core.schema import Settings
from tools.config_reference import settings_in


def classes(settings: type[Settings], path: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """Yields every settings class of a config with the path of its section."""
    yield path, settings
    for key, field in settings.model_fields.items():
        below = f"{path}.{key}".lstrip(".")
        registry = next((mark.registry for mark in field.metadata if isinstance(mark, OneOf)), None)
        chosen = settings_in(field.annotation)
        chosen += [] if registry is None else [each for each in registry.settings.values() if each not in chosen]
        for inner in chosen:
            yield from classes(inner, below)


def table(_: object = None) -> str:
    """Returns the renamed keys as a Markdown table."""
    assert REGISTRIES  # the root config has registered its components
    rows = {}
    for path, settings in classes(Config):
        for old, new in settings.renamed.items():
            if " " not in new:  # a sentence describes a change of structure, which the changelog lists by hand
                rows[f"`{path}.{old}`"] = f"`{path}.{new}`"
    return "\n".join(
        ["| old key | new key |", "|---|---|", *(f"| {old} | {new} |" for old, new in sorted(rows.items()))]
    )
