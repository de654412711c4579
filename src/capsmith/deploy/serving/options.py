"""Options of a request for captions. A form and a JSON body have the same flat fields, with the same bounds."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from capsmith.core.errors import escaped
from capsmith.deploy.serving.bounds import MAX_PREFIX, MAX_WORD, MAX_WORDS, NUMBERS
from capsmith.deploy.serving.problems import Problem


def _number(name: str, description: str) -> Any:
    """Returns the field of a number, with the bounds that the models check too."""
    _, least, most = NUMBERS[name]
    return Field(default=None, ge=least, le=most, description=description)


def _words(description: str) -> Any:
    return Field(default=None, max_length=MAX_WORDS, description=description)


_NO_CONTROL = r"^[^\x00-\x1f]*$"
_Word = Annotated[str, Field(min_length=1, max_length=MAX_WORD, pattern=_NO_CONTROL)]
_OPTION = ConfigDict(extra="forbid", strict=True)


class CaptionOptions(BaseModel):
    """How captions are searched. What is left out is as in the model's own config."""

    model_config = _OPTION

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Name of the model, as in `/v1/models`; by default the first one.",
    )
    attention: bool = Field(
        default=False,
        description="Also return where the model looked at each word: a grid of weights, whose sum is 1.",
    )
    search: Literal["greedy", "beam", "sample"] | None = Field(
        default=None,
        description="`greedy` takes the most probable word each time, `beam` follows several sentences at once, "
        "`sample` draws words at random.",
    )
    beam_size: int | None = _number("beam_size", "Only for `beam`: sentences that it follows at once.")
    n: int | None = _number(
        "n", "Number of different captions; all but the first are `alternatives`. There may be fewer."
    )
    length_penalty: float | None = _number(
        "length_penalty",
        "Only for `beam`: the score is the log probability divided by the length to this power; 0 favours short ones.",
    )
    min_length: int | None = _number("min_length", "Shortest caption in words.")
    max_length: int | None = _number("max_length", "Longest caption in words.")
    no_repeat: int | None = _number(
        "no_repeat", "No sequence of this many words occurs twice in a caption; 0 allows all."
    )
    prefix: str | None = Field(
        default=None,
        max_length=MAX_PREFIX,
        pattern=_NO_CONTROL,
        description="Every caption begins with this text. The model must know its words.",
    )
    include: list[_Word] | None = _words(
        "Words or phrases that every caption contains; `dog|puppy` allows either. Not with `sample`."
    )
    exclude: list[_Word] | None = _words("Words or phrases that no caption contains.")
    temperature: float | None = _number("temperature", "Only for `sample`: below 1, captions vary less.")
    top_k: int | None = _number("top_k", "Only for `sample`: draw from the k most probable words.")
    top_p: float | None = _number(
        "top_p", "Only for `sample`: draw from the most probable words that together have this probability."
    )
    seed: int | None = _number(
        "seed", "Only for `sample`: the random seed. Equal seeds give equal captions of an image."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _plain_value(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses null, and takes 3.0 for 3, which JSON does not tell apart."""
        if value is None:
            raise PydanticCustomError("null", "leave the field out instead of null")
        if info.field_name in _WHOLE and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    def search_settings(self) -> dict[str, Any]:
        """Returns what the request says about the search: only what is given."""
        return {name: value for name in SEARCH_FIELDS if (value := getattr(self, name)) is not None}


_WHOLE = frozenset(name for name, (kind, *_) in NUMBERS.items() if kind is int)
_DECIMAL = frozenset(NUMBERS) - _WHOLE
_LISTS = frozenset(("include", "exclude"))
SEARCH_FIELDS = tuple(name for name in CaptionOptions.model_fields if name not in ("model", "attention"))
"""The fields that are settings of the search."""

_OF_SEARCH: Mapping[str, tuple[str, ...]] = {
    "beam_size": ("beam",),
    "length_penalty": ("beam",),
    "temperature": ("sample",),
    "top_k": ("sample",),
    "top_p": ("sample",),
    "seed": ("sample",),
    "include": ("beam", "greedy"),
}
"""Fields that only some searches have."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_DETAILS = {
    "extra_forbidden": "there is no such field; see /docs",
    "string_pattern_mismatch": "a control character cannot be part of it",
}
_BOOLEANS = {"true": True, "false": False}


def from_form(fields: Sequence[tuple[str, str]]) -> CaptionOptions:
    """Returns the options of a form.

    Args:
        fields: Names and texts of its fields. Only ``include`` and ``exclude`` may be repeated.

    Raises:
        Problem: 422: a field is unknown, repeated, or has a value out of bounds.
    """
    values: dict[str, Any] = {}
    errors = []
    for name, text in fields:
        if name in _LISTS:
            values.setdefault(name, []).append(text)
        elif name in values:
            errors.append({"field": _shown(name), "detail": "the field is given twice"})
        else:
            values[name] = _value(name, text)
    return _checked(values, errors)


def from_json(values: Mapping[str, Any]) -> CaptionOptions:
    """Returns the options of a JSON body without its images.

    Raises:
        Problem: 422: a field is unknown, or has a value of another type or out of bounds.
    """
    return _checked(dict(values), [])


def _value(name: str, text: str) -> Any:
    """Returns a form's text as the type of its field; texts that are none of that type stay texts, and are refused."""
    if name in _WHOLE and _INTEGER.fullmatch(text):
        return int(text)
    if name in _DECIMAL and _NUMBER.fullmatch(text):
        return float(text)
    return _BOOLEANS.get(text.lower(), text) if name == "attention" else text


def _checked(values: dict[str, Any], errors: list[dict[str, Any]]) -> CaptionOptions:
    try:
        options = CaptionOptions.model_validate(values)
    except ValidationError as error:
        errors = [*errors, *map(_field_error, error.errors(include_url=False, include_context=False))]
    else:
        errors = [*errors, *_unfit(options)]
    if errors:
        raise Problem(422, _summary(errors), errors)
    return options


def _unfit(options: CaptionOptions) -> list[dict[str, Any]]:
    """Returns an error for each field that the search of a request does not have.

    A request that names no search, but has fields of sampling, samples.
    """
    given = options.search_settings()
    sampled = any(_OF_SEARCH.get(name) == ("sample",) for name in given)
    search = options.search or ("sample" if sampled else None)
    return [
        {"field": name, "detail": f"only for search {' or '.join(_OF_SEARCH[name])}, not for {search}"}
        for name in given
        if search is not None and search not in _OF_SEARCH.get(name, (search,))
    ]


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
