"""Errors as problem documents (RFC 9457): one shape for every status, in answers and in the OpenAPI document."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""The title of each status that the service uses: the phrase of RFC 9110, as ``about:blank`` requires."""

_EXAMPLES: dict[int, str] = {
    400: "the body is not valid JSON: the key 'n' is repeated",
    401: "an API key is needed: send it as Authorization: Bearer KEY or as X-API-Key",
    403: "requests from other sites are not answered",
    404: "there is no model 'mine'; see /v1/models",
    405: "DELETE is not possible here, only POST",
    408: "the body did not arrive within 30 seconds",
    409: "the image was changed meanwhile",
    411: "send a body, with its Content-Length",
    413: "the body has more than 10,000,000 bytes",
    415: "send multipart/form-data or application/json",
    422: "1 image cannot be read",
    429: "too many requests are waiting; try again in 1 second",
    431: "the headers have more than 16,384 bytes",
    500: "an error of the service; its log says more",
    503: "the models are still loading",
    504: "no answer within 60 seconds",
}
_FIELD_EXAMPLE = {
    "field": "image",
    "index": 0,
    "detail": "not an image in a known format (JPEG, PNG, GIF, WebP, BMP, TIFF, …)",
}


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Name of the field or part.", examples=["image"])
    detail: str = Field(description="What is wrong with it.", examples=[_FIELD_EXAMPLE["detail"]])
    index: int | None = Field(
        default=None,
        ge=0,
        description="Which value of the field it is, from 0, if the field has several.",
        examples=[0],
    )


class ProblemDocument(BaseModel):
    """An error, as a problem document (RFC 9457)."""

    model_config = ConfigDict(extra="forbid", title="Problem")

    type: str = Field(description="`about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="The kind of problem, as RFC 9110 calls the status.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="What is wrong, and what to do.")
    errors: list[FieldError] | None = Field(default=None, description="The fields that are wrong, if any is.")
    current: dict[str, Any] | None = Field(default=None, description="With 409: what the resource holds now.")


class Problem(Exception):
    """Ends a request with a problem document.

    Args:
        status: The HTTP status.
        detail: What is wrong, and what to do, for the person who made the request.
        errors: The fields that are wrong, each ``{"field", "detail"}`` and optionally ``"index"``.
        headers: Further headers of the answer, such as ``Retry-After``.
        **more: Further members of the document, such as ``current``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more
        self.errors = [dict(error) for error in errors]

    def response(self) -> Response:
        """Returns the answer."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        body = json.dumps(document | self.more, ensure_ascii=True).encode()
        return Response(body, self.status, {"cache-control": "no-store", **self.headers}, MEDIA_TYPE)


def busy(detail: str, seconds: float, status: int = 429) -> Problem:
    """Returns a problem that passes with time.

    Args:
        detail: What is wrong.
        seconds: When to try again.
        status: 429, or 503 if the service is not ready.
    """
    return Problem(status, detail, headers={"retry-after": str(max(1, round(seconds)))})


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the ``responses=`` of an operation: every error that it answers, each with its shape and an example.

    Args:
        *statuses: The statuses of this operation, besides those that all operations answer.
    """
    return {status: _response(status) for status in sorted({*statuses, *COMMON})}


COMMON = (400, 401, 403, 405, 408, 413, 429, 431, 500)
"""Errors of every operation: they are found before the operation is reached, or behind it."""


def _response(status: int) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": _EXAMPLES[status],
    }
    if status == 422:
        example["errors"] = [_FIELD_EXAMPLE]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    response: dict[str, Any] = {"description": TITLES[status], "content": content}
    if headers := _HEADERS.get(status):
        response["headers"] = headers
    return response


_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "The methods that are possible.", "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}},
}
