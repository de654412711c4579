"""Fields of requests: a form and a JSON body have the same flat fields, with the same types and bounds."""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from capsmith.core.errors import escaped
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.uploads import Body

NO_CONTROL = r"^[^\x00-\x1f]*$"
"""Pattern of texts without control characters."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}
_DETAILS = {
    "extra_forbidden": "there is no such field; see /docs",
    "string_pattern_mismatch": "a control character cannot be part of it",
}


class RequestFields(BaseModel):
    """The fields of a request, besides its images. Subclasses declare them; null is refused everywhere.

    Attributes:
        LINES: Lists that a form has as one text, with a line for each.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    LINES: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _plain_value(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses null, and takes 3.0 for 3, which JSON does not tell apart."""
        if value is None:
            raise PydanticCustomError("null", "leave the field out instead of null")
        if isinstance(value, float) and value.is_integer() and cls._kind(info.field_name or "") is int:
            return int(value)
        return value

    def unfit(self) -> list[dict[str, Any]]:
        """Returns an error for each field that does not fit the others."""
        return []

    @classmethod
    def of(cls, body: Body) -> Self:
        """Returns the fields of a body.

        Raises:
            Problem: 422, as ``from_form`` and ``from_json``.
        """
        return cls.from_form(body.fields) if body.values is None else cls.from_json(body.values)

    @classmethod
    def from_form(cls, fields: Sequence[tuple[str, str]]) -> Self:
        """Returns the fields of a form.

        Args:
            fields: Names and texts. Only lists may be repeated.

        Raises:
            Problem: 422: a field is unknown, repeated, or has a value out of bounds.
        """
        values: dict[str, Any] = {}
        errors = []
        for name, text in fields:
            if cls._kind(name) is list and name not in cls.LINES:
                values.setdefault(name, []).append(text)
            elif name in values:
                errors.append({"field": _shown(name), "detail": "the field is given twice"})
            else:
                values[name] = cls._value(name, text)
        return cls._checked(values, errors)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Returns the fields of a JSON body.

        Raises:
            Problem: 422: a field is unknown, or has a value of another type or out of bounds.
        """
        return cls._checked(dict(values), [])

    @classmethod
    def _kind(cls, name: str) -> type | None:
        """Returns the type of a field: str, bool, int, float or list; None if there is no such field."""
        field = cls.model_fields.get(name)
        return None if field is None else _kind(field.annotation)

    @classmethod
    def _value(cls, name: str, text: str) -> Any:
        """Returns a form's text as the type of its field; a text that is none of that type is left, and refused."""
        kind = cls._kind(name)
        if kind is int and _INTEGER.fullmatch(text):
            return int(text)
        if kind is float and _NUMBER.fullmatch(text):
            return float(text)
        if kind is list:
            return [line for line in map(str.strip, text.splitlines()) if line]
        return _BOOLEANS.get(text.lower(), text) if kind is bool else text

    @classmethod
    def _checked(cls, values: dict[str, Any], errors: list[dict[str, Any]]) -> Self:
        try:
            found = cls.model_validate(values)
        except ValidationError as error:
            more = error.errors(include_url=False, include_context=False)[:_SHOWN]
            errors = [*errors, *map(_field_error, more)]
        else:
            errors = [*errors, *found.unfit()]
            if not errors:
                return found
        raise Problem(422, _summary(errors), errors)


_SHOWN = 50  # errors of one request


def _kind(annotation: Any) -> type | None:
    if get_origin(annotation) in (Union, types.UnionType):
        return next((kind for part in get_args(annotation) if (kind := _kind(part)) is not None), None)
    if get_origin(annotation) is list:
        return list
    if get_origin(annotation) is Literal:
        return str
    return annotation if annotation in (str, bool, int, float) else None


def _field_error(error: Any) -> dict[str, Any]:
    name, *place = error["loc"] or ("body",)
    detail = _DETAILS.get(error["type"]) or error["msg"][:1].lower() + error["msg"][1:]
    index = {"index": place[0]} if place and isinstance(place[0], int) else {}
    return {"field": _shown(str(name)), "detail": detail, **index}


def _summary(errors: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(error["field"] for error in errors))
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{'a field is' if len(names) == 1 else 'fields are'} not valid: {shown}"


def _shown(name: str) -> str:
    return escaped(name)[:100]
