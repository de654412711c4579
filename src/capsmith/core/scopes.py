"""Scopes of config fields: the mark of a field defines when the field may change and which runs share it.

A field carries its mark as an annotation. A section's mark holds for all fields below it that carry none::

    decoder: Annotated[DecoderConfig, Scope.MODEL]
    ...
    dropout: Annotated[float, Scope.TRAINING] = 0.3
"""

from collections.abc import Collection, Iterator
from enum import Enum, auto
from typing import Any, TypeVar

from pydantic.fields import FieldInfo

from capsmith.core.schema import Settings

S = TypeVar("S", bound=Settings)


class Use(Enum):
    """The purpose for which two configs are compared, or for which one inherits from the other."""

    EVALUATE = auto()
    """A trained run is evaluated or captions images."""
    RESUME = auto()
    """An interrupted training is resumed."""
    LOAD_WEIGHTS = auto()
    """A training starts from the weights of a run with the same vocabulary."""
    TRANSFER = auto()
    """A training starts from the weights of a run with another vocabulary."""
    AVERAGE = auto()
    """The weights of several runs are averaged."""
    STAGE = auto()
    """The training is a first stage of another one."""
    MEMBER = auto()
    """The training is a member of another one's ensemble."""


_COMPARED = frozenset({Use.EVALUATE, Use.RESUME, Use.LOAD_WEIGHTS, Use.TRANSFER, Use.AVERAGE})
_BOTH = frozenset({Use.STAGE, Use.MEMBER})
_NONE: frozenset[Use] = frozenset()


class Scope(Enum):
    """The aspect of a run that a field controls.

    Attributes:
        fixed_for: The uses for which the field must have the same value in both configs.
        inherited_by: The uses in which the other training takes the field's value from this one.
    """

    def __init__(self, fixed_for: frozenset[Use], inherited_by: frozenset[Use]) -> None:
        self.fixed_for, self.inherited_by = fixed_for, inherited_by

    SEED = frozenset({Use.RESUME}), frozenset({Use.STAGE})
    """Random numbers of a training. Members of an ensemble have their own."""
    DATA = frozenset({Use.RESUME}), _BOTH
    """Which images and captions are used. A trained model may be evaluated on others."""
    FILES = _NONE, _BOTH
    """Where files are and how they are processed. Results do not depend on it."""
    INPUT = _COMPARED, _BOTH
    """The decoder's input: features and tokens."""
    VOCABULARY = _COMPARED - {Use.TRANSFER}, _BOTH
    """The tokens in the vocabulary."""
    FINE_TUNING = _COMPARED - {Use.LOAD_WEIGHTS}, frozenset({Use.MEMBER})
    """Whether the encoder is trained. A first stage decides this for itself."""
    MODEL = _COMPARED, _NONE
    """The layers and their sizes."""
    TRAINING = frozenset({Use.EVALUATE, Use.RESUME}), _NONE
    """How the weights are learned. The layers of the model do not depend on it."""
    TRAINING_FILES = frozenset({Use.EVALUATE}), _NONE
    """Where training reads its initial weights and how often it saves."""
    DECODING = _NONE, _NONE
    """How captions are searched for."""
    EVALUATION = _NONE, frozenset({Use.MEMBER})
    """How captions are scored and reported."""


def difference(before: Settings, now: Settings, use: Use, ignored: Collection[str] = ()) -> str:
    """Returns the first forbidden difference between two configs, as in ``decoder.units: 256, now 512``; else empty.

    Args:
        before: One config.
        now: The other.
        use: The purpose of the comparison.
        ignored: Sections that may differ in any case.
    """
    old, new = ({path: (value, scope) for path, value, scope in leaves(config)} for config in (before, now))
    for path in {**old, **new}:
        scope = (old.get(path) or new[path])[1]
        if use not in scope.fixed_for or path.split(".")[0] in ignored:
            continue
        values = [side[path][0] if path in side else None for side in (old, new)]
        if values[0] != values[1]:
            return f"{path}: {values[0]}, now {values[1]}"
    return ""


def inherit(own: S, parent: S, use: Use, scope: Scope | None = None) -> S:
    """Returns a config in which the fields that this use inherits come from another one.

    Args:
        own: The config of the stage or member.
        parent: The config that it belongs to.
        use: ``Use.STAGE`` or ``Use.MEMBER``.
        scope: The mark of the section, if the two configs are sections.
    """
    inherited: dict[str, Any] = {}
    for name, field in type(parent).model_fields.items():
        mark, mine, theirs = _mark(field, scope), getattr(own, name), getattr(parent, name)
        if isinstance(theirs, Settings) and type(mine) is type(theirs):
            inherited[name] = inherit(mine, theirs, use, mark)
        elif mark is not None and use in mark.inherited_by:
            inherited[name] = theirs
    return own.model_copy(update=inherited)


def leaves(config: Settings) -> Iterator[tuple[str, Any, Scope]]:
    """Yields every value of a config with its path, such as ``encoder.0.weights``, and its mark.

    Raises:
        LookupError: A field has no mark, nor has any section that it is in.
    """
    yield from _leaves(config, config.model_dump(mode="json"), None, "")


def field_scope(model: type[Settings], name: str) -> Scope | None:
    """Returns the mark of a field, or None if the field is unknown or has no mark itself."""
    field = model.model_fields.get(name)
    return None if field is None else _mark(field, None)


def _leaves(value: Any, dumped: Any, scope: Scope | None, path: str) -> Iterator[tuple[str, Any, Scope]]:
    below = f"{path}." if path else ""
    if isinstance(value, Settings):
        for name, inner in dumped.items():
            field = type(value).model_fields.get(name)  # None for a placeholder's fields
            mark = scope if field is None else _mark(field, scope)
            yield from _leaves(getattr(value, name), inner, mark, below + name)
    elif isinstance(dumped, list):
        for number, (inner, inner_dumped) in enumerate(zip(value, dumped, strict=True)):
            yield from _leaves(inner, inner_dumped, scope, f"{below}{number}")
    elif isinstance(dumped, dict):
        for name, inner in dumped.items():
            yield from _leaves(inner, inner, scope, f"{below}{name}")
    else:
        if scope is None:
            raise LookupError(f"the config field {path} has no Scope, nor has its section")
        yield path, dumped, scope


def _mark(field: FieldInfo, inherited: Scope | None) -> Scope | None:
    return next((mark for mark in field.metadata if isinstance(mark, Scope)), inherited)
