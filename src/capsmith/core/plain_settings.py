"""Settings without pydantic, for captioning where only NumPy, Pillow and onnxruntime are installed.

The pydantic classes remain the only place where fields are declared. ``python -m tools.plain_schemas`` writes their
fields, types, defaults and bounds as JSON Schema into package data, from which this module makes and checks settings.
Rules that several fields follow together are methods of classes that both kinds of settings inherit, such as
``decoding.rules.BeamRules``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from capsmith.core.errors import ConfigError
from capsmith.core.plain_values import InvalidValue, converted
from capsmith.core.setting_errors import as_key, as_line, section_needed, unknown_key
from capsmith.core.spelling import folded


class PlainSettings:
    """Frozen settings; every field is an attribute. ``Section.make`` checks the values."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"settings are frozen: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"settings are frozen: {name}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.__dict__.values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def model_dump(self) -> dict[str, Any]:
        """Returns the values by field, sections as dictionaries: the method of pydantic's settings."""
        return {
            name: value.model_dump() if isinstance(value, PlainSettings) else value
            for name, value in self.__dict__.items()
        }

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Returns a copy with other values, which are not checked: the method of pydantic's settings."""
        return type(self)(**{**self.__dict__, **update})

    @classmethod
    def prepare_field(cls, name: str, value: Any) -> Any:
        """Returns a value in the form that its field takes; by default unchanged."""
        return value

    @classmethod
    def check_field(cls, name: str, value: Any) -> None:
        """Raises ValueError if a converted value breaks a rule that the schema cannot state."""

    def check(self) -> None:
        """Raises ValueError if the values do not fit together."""


class Section:
    """A section of a config that holds one of several kinds of settings, which its ``type`` names.

    Args:
        schemas: The JSON Schema of each kind, by name.
        classes: The class of each kind, by name.
        sections: The sections that fields may hold, by the name in the field's ``section``.
    """

    def __init__(
        self,
        schemas: Mapping[str, Any],
        classes: Mapping[str, type[PlainSettings]],
        sections: "Mapping[str, Section] | None" = None,
    ) -> None:
        self.classes, self._schemas, self._sections = classes, schemas, sections or {}

    def fields(self, kind: str) -> list[str]:
        """Returns the names of the fields of a kind."""
        return list(self._schemas[kind]["properties"])

    def make(self, kind: str, values: Mapping[str, Any], path: str) -> PlainSettings:
        """Returns checked settings.

        Args:
            kind: The kind of settings.
            values: Values of its fields; the others have their defaults.
            path: The name of the section in messages.

        Raises:
            ConfigError: Values are not valid; the message has one part for each.
        """
        problems: list[str] = []
        settings = self._checked(kind, values, [path], problems)
        if settings is None:
            raise ConfigError("; ".join(map(as_line, problems)))
        return settings

    def _checked(
        self, kind: str, values: Mapping[str, Any], location: list[str], problems: list[str]
    ) -> PlainSettings | None:
        """Returns the settings; or None, after adding what is wrong to ``problems``."""
        schema, found = self._schemas[kind], len(problems)
        properties: Mapping[str, Any] = schema["properties"]
        checked: dict[str, Any] = {}
        for name, field in properties.items():
            value = values[name] if name in values else field["default"]
            if "section" in field:
                checked[name] = self._section(value, field, [*location, name], problems)
                continue
            path = ".".join([*location, name])
            try:
                checked[name] = converted(self.classes[kind].prepare_field(name, value), field, path)
                self.classes[kind].check_field(name, checked[name])
            except InvalidValue as error:
                problems += error.args
            except ValueError as error:
                problems.append(f"{path}: {error}")
        for key in values:
            if not isinstance(key, str):
                problems.append(f"{'.'.join([*location, as_key(key)])}: keys should be strings (given: {key!r:.80})")
            elif key not in properties:
                problems.append(unknown_key([*location, as_key(key)], properties, schema.get("renamed", {}), "config"))
        if len(problems) > found:
            return None
        settings = self.classes[kind](**checked)
        try:
            settings.check()
        except ValueError as error:
            problems.append(f"{'.'.join(location)}: {error}")
            return None
        return settings

    def _section(self, value: Any, field: Mapping[str, Any], location: list[str], problems: list[str]) -> Any:
        if value is None and field["optional"]:
            return None
        section = self._sections[field["section"]]
        value = value.model_dump() if hasattr(value, "model_dump") else value
        if not isinstance(value, Mapping):
            problems.append(section_needed(".".join(location), value))
            return None
        if (kind := section.find(value.get("type"))) is None:
            return section._checked(next(iter(section.classes)), value, location, problems)
        return section._checked(kind, {**value, **({"type": kind} if "type" in value else {})}, location, problems)

    def find(self, name: Any) -> str | None:
        """Returns the kind that a ``type`` names, ignoring case and dashes; None if there is none."""
        return next((kind for kind in self.classes if isinstance(name, str) and folded(kind) == folded(name)), None)


def read_schemas(path: Path) -> dict[str, Any]:
    """Reads a file that ``tools.plain_schemas`` wrote."""
    schemas: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schemas
