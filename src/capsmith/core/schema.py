"""The base of every settings model, and validation errors in words.

Each component owns a frozen model with its fields documented in place. Settings modules import no Keras, so that
``capsmith validate`` and ``--help`` answer at once.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from capsmith.core.errors import escaped

Precision = Literal["auto", "float32", "bfloat16"]
"""What is calculated in; ``auto`` asks ``precision.py``."""
ONE, SEVERAL = "(one)", "(several)"
"""Tags of a union of a section and a list of such sections: no key is called so, and no message shows them."""
_EMPTY = "\0"  # no file can be called so


class Settings(BaseModel):
    """A frozen settings model that refuses keys it does not know.

    Attributes:
        renamed: Keys of earlier versions, each with what replaces it: a key's name, or a sentence for a key that
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
        """Keeps empty paths apart from the current folder, which they would become."""
        if not isinstance(values, dict):
            return values
        paths = [name for name, field in cls.model_fields.items() if _takes_paths(field.annotation)]
        return values | {name: _EMPTY for name in paths if values.get(name) == ""}

    @field_validator("*")
    @classmethod
    def _home(cls, value: Any) -> Any:
        """No shell opens the ``~`` of a path in YAML, or behind ``--set data.root=``."""
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value

    @field_validator("*")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        """No file's name holds such a character, and no UTF-8 file can hold half a surrogate pair."""
        if isinstance(value, Path) and str(value) == _EMPTY:
            raise ValueError("an empty path; for the current folder write .")
        if isinstance(value, str | Path) and any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in str(value)):
            raise ValueError(f"{str(value)!r:.80} holds a control character")
        return value

    @field_validator("*")
    @classmethod
    def _of_64_bits(cls, value: Any) -> Any:
        """No array, loop or generator takes a larger one."""
        if type(value) is int and abs(value) >= 2**53:
            raise ValueError(f"{'-' * (value < 0)}{abs(value):.3g} is too large" if abs(value) < 1e300 else "too large")
        return value


def _takes_paths(annotation: Any) -> bool:
    return annotation is Path or any(_takes_paths(inner) for inner in get_args(annotation))


def folded(word: str) -> str:
    """Returns a name without what people spell differently: case, dashes, underscores, dots and blanks."""
    return "".join(c for c in word.casefold() if c.isalnum())


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest allowed word, or an empty string."""
    close = difflib.get_close_matches(str(word), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Turns a pydantic error into lines of the form ``decoder.units: …``.

    Args:
        error: What pydantic raised.
        model: The model that was validated; its fields give the nearest valid spelling.

    Returns:
        One line for each error, in the order of the fields; a value that fits none of a field's types has one.
    """
    lines: dict[str, str] = {}
    for item in error.errors():
        unknown = item["loc"][-1:] if item["type"] == "extra_forbidden" else ()  # it may be called as a tag is
        location, models = _resolve(item["loc"][: len(item["loc"]) - len(unknown)], model)
        location += [str(key) for key in unknown]
        whole = ".".join(location)
        location = [escaped(key)[:_LONGEST_KEY] for key in location]
        path = ".".join(location) or "config"
        line = _explain_one(dict(item), location, models)
        lines[whole] = line if whole not in lines else f"{lines[whole]}, or {line.removeprefix(f'{path}: ')}"
    return [escaped(line) if len(line) <= _LONGEST else escaped(line)[:_LONGEST] + " …" for line in lines.values()]


_LONGEST, _LONGEST_KEY = 600, 80  # characters shown of what is wrong, and of a key


def _explain_one(item: dict[str, Any], location: list[str], models: list[type[BaseModel]]) -> str:
    path = ".".join(location) or "config"
    context = item.get("ctx", {})
    kind = item["type"]
    if kind == "extra_forbidden":
        where = ".".join(location[:-1]) or "config"
        for settings in models:
            if (now := getattr(settings, "renamed", {}).get(location[-1])) is not None:
                return f"{path}: {now}" if " " in now else f"{path} is now called {'.'.join([*location[:-1], now])}"
        fields = list(dict.fromkeys(name for settings in models for name in settings.model_fields))
        known = ", ".join(fields)
        return f"{path}: unknown key{nearest(location[-1], fields)} ({where} takes: {known})"
    if kind == "missing":
        return f"{path}: required, but not given"
    if kind == "union_tag_invalid":
        allowed = context["expected_tags"].replace("'", "").split(", ")
        given = context["tag"][:80]
        return f"{path}.type: '{given}' is not known{nearest(given, allowed)} (one of: {', '.join(allowed)})"
    if kind == "union_tag_not_found":
        return f"{path}.type: required, but not given"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        close = nearest(str(item["input"]), allowed)
        return f"{path}: {item['input']!r:.80} is not allowed{close} (one of: {', '.join(allowed)})"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{path}: a section of keys and values is needed (given: {item['input']!r:.80})"
    message = item["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = repr(item["input"])
    return f"{path}: {message}" + (f" (given: {given[:80]})" if kind != "value_error" else "")


def _resolve(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """Drops union tags from an error's location; returns it with the settings models at its end."""
    path: list[str] = []
    models = [model]
    for part in loc:
        if part in (ONE, SEVERAL):
            continue
        tagged = [m for m in models if _tag(m) == part]
        if tagged and not any(part in m.model_fields for m in models):
            models = tagged
            continue
        if not models and isinstance(part, str):
            break  # pydantic's name for one type of several, as in ("image_size", "tuple[int, int]", 0)
        path.append(str(part))
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        if fields:
            models = [found for field in fields for found in models_of(field)]
        elif not isinstance(part, int):
            break
    return path, models


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("type")
    return field.default if field is not None and isinstance(field.default, str) else None


def models_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Returns the settings that a field may hold."""
    choices = [found for choice in field.metadata for found in getattr(choice, "members", ())]
    return choices or _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]
