"""Schemas of capsmith's own JSON files, for those that are read where pydantic is installed."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from capsmith.core.errors import CapsmithError, escaped

_MAX_SHOWN = 60  # characters of a key in a message

Schema = TypeVar("Schema", bound="FileSchema")


class FileSchema(BaseModel):
    """The schema of one of capsmith's own JSON files: exact types, no conversions, finite numbers.

    Unknown keys are ignored, so that files of later versions can be read.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def check(
        cls: type[Schema],
        value: Any,
        where: object,
        error: type[CapsmithError],
        advice: str,
        says: str = "is damaged",
    ) -> Schema:
        """Returns a value as this schema.

        Args:
            value: The result of ``parse_json``.
            where: The name of the file in messages.
            error: The exception to raise.
            advice: What to do if the file is damaged; the end of the message.
            says: The description of the fault in the message.

        Raises:
            CapsmithError: As ``error``: a key is missing, or a value has the wrong type or is out of range.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as cause:
            raise error(f"{where} {says}: {first_problem(cause)}; {advice}") from cause


def first_problem(error: ValidationError) -> str:
    """Returns the first error of a schema, such as ``sizes.3: input should be a valid integer``."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(escaped(str(part))[:_MAX_SHOWN] for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return (f"{place}: " if place else "") + message[:1].lower() + message[1:]
