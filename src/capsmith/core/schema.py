"""The base class of all settings, and validation errors as readable lines.

Each component owns a frozen settings class whose fields are documented in place. Settings modules import no Keras, so
``capsmith validate`` and ``--help`` start quickly.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from capsmith.core.setting_errors import (
    EMPTY,
    as_key,
    as_line,
    check_characters,
    check_integer,
    invalid,
    not_allowed,
    section_needed,
    unknown_key,
)
from capsmith.core.spelling import nearest

Precision = Literal["auto", "float32", "bfloat16"]
"""Compute precision; ``auto`` is resolved by ``precision.py``."""
ONE, SEVERAL = "(one)", "(several)"
"""Tags of the union of a section and a list of such sections. They never appear in configs or messages."""


class Settings(BaseModel):
    """A frozen settings model that rejects unknown keys.

    Attributes:
        renamed: Keys from earlier versions, each with its replacement: the name of a key, or a sentence for a key that
            has no single successor. Using one is an error whose message names the replacement.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _mark_empty(cls, values: Any) -> Any:
        """Marks empty paths: ``Path`` would turn them into the current folder."""
        if not isinstance(values, dict):
            return values
        paths = [name for name, field in cls.model_fields.items() if _takes_paths(field.annotation)]
        empty = [name for name in paths if isinstance(values.get(name), str) and not values[name]]
        return values | dict.fromkeys(empty, EMPTY)

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        """Expands ``~``, which the shell does not expand in YAML or after ``--set data.root=``."""
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value

    _check_characters = field_validator("*")(check_characters)
    """Rejects control characters and lone surrogates, which cannot be saved as UTF-8."""
    _check_integer = field_validator("*")(check_integer)
    """Rejects integers beyond 2**53."""


def _takes_paths(annotation: Any) -> bool:
    return annotation is Path or any(_takes_paths(inner) for inner in get_args(annotation))


def explain(error: ValidationError, model: type[BaseModel], section: str = "") -> list[str]:
    """Turns a pydantic error into lines of the form ``decoder.units: …``.

    Args:
        error: The error.
        model: The class that was validated; its fields provide the nearest valid spelling.
        section: The section of the config that was validated; empty for the complete config.

    Returns:
        One line for each value that is not valid, in the order of the fields.
    """
    lines: dict[str, str] = {}
    for item in error.errors():
        unknown = item["loc"][-1:] if item["type"] == "extra_forbidden" else ()  # it may equal a tag
        location, models = _resolve(item["loc"][: len(item["loc"]) - len(unknown)], model)
        location = [*([section] if section else []), *location, *(str(key) for key in unknown)]
        full_path = ".".join(location)
        location = [as_key(key) for key in location]
        path = ".".join(location) or "config"
        line = _explain_one(dict(item), location, models)
        lines[full_path] = (
            line if full_path not in lines else f"{lines[full_path]}, or {line.removeprefix(f'{path}: ')}"
        )
    return [as_line(line) for line in lines.values()]


def _explain_one(item: dict[str, Any], location: list[str], models: list[type[BaseModel]]) -> str:
    path = ".".join(location) or "config"
    context = item.get("ctx", {})
    kind = item["type"]
    if kind == "extra_forbidden":
        renamed = {key: new for settings in models for key, new in getattr(settings, "renamed", {}).items()}
        fields = dict.fromkeys(name for settings in models for name in settings.model_fields)
        return unknown_key(location, fields, renamed, "config")
    if kind == "missing":
        return f"{path}: required"
    if kind == "union_tag_invalid":
        allowed = context["expected_tags"].replace("'", "").split(", ")
        tag = context["tag"][:80]
        return f"{path}.type: '{tag}' is not known{nearest(tag, allowed)} (one of: {', '.join(allowed)})"
    if kind == "union_tag_not_found":
        return f"{path}.type: required"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return not_allowed(path, item["input"], allowed)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return section_needed(path, item["input"])
    if kind == "value_error":  # raised by capsmith
        return f"{path}: {item['msg'].removeprefix('Value error, ')}"
    message = item["msg"].removesuffix(" for <class 'pathlib.Path'>")
    return invalid(path, message[:1].lower() + message[1:], item["input"])


def _resolve(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """Removes union tags from an error's location; returns it with the settings classes at its end."""
    path: list[str] = []
    models = [model]
    for part in loc:
        if part in (ONE, SEVERAL):
            continue
        tagged = [m for m in models if tag_of(m) == part]
        if tagged and not any(part in m.model_fields for m in models):
            models = tagged
            continue
        if not models and isinstance(part, str):
            break  # pydantic's name for a type in a union, as in ("image_size", "tuple[int, int]", 0)
        path.append(str(part))
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        if fields:
            models = [section for field in fields for section in models_of(field)]
        elif not isinstance(part, int):
            break
    return path, models


def tag_of(model: type[BaseModel]) -> str | None:
    """Returns the value of ``type`` that names a settings class, if it has one."""
    field = model.model_fields.get("type")
    return field.default if field is not None and isinstance(field.default, str) else None


def models_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Returns the settings classes that a field may hold."""
    choices = [section for annotation in field.metadata for section in getattr(annotation, "members", ())]
    return choices or _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _models_in(inner)]
