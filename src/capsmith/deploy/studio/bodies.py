"""Small JSON bodies of the studio's API."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from capsmith.core.errors import escaped, one_line
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.serving.bodies import ClientGone
from capsmith.deploy.serving.problems import Problem

MAX_BODY = 16_384
"""Largest body in bytes."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """Returns the JSON body of a request.

    Args:
        request: The request.
        model: What the body is.

    Raises:
        Problem: 400, 413, 415 or 422.
        ClientGone: The client closed the connection.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json":
        raise Problem(415, f"send application/json, not {escaped(kind)[:80] or 'a body without a Content-Type'}")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Problem(415, "write JSON in UTF-8")
    raw = bytearray()
    try:
        async for piece in request.stream():
            raw += piece
            if len(raw) > MAX_BODY:
                raise Problem(413, f"the body has more than {MAX_BODY:,} bytes, the most that is accepted here")
    except ClientDisconnect as error:
        raise ClientGone from error
    return _checked(bytes(raw), model)


def _checked(raw: bytes, model: type[M]) -> M:
    try:
        document = parse_json(raw)
    except ValueError as error:
        raise Problem(400, f"the body is not valid JSON: {escaped(one_line(error))[:200]}") from error
    if not isinstance(document, dict):
        raise Problem(422, "the body is not a JSON object", [{"field": "body", "detail": "an object is needed"}])
    values = {name: _whole(value) for name, value in document.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = [_field_error(one) for one in error.errors(include_url=False, include_context=False)]
        names = ", ".join(dict.fromkeys(one["field"] for one in errors))[:200]
        raise Problem(422, f"not valid: {names}", errors[:20]) from error


def _whole(value: Any) -> Any:
    """JSON does not tell 3 from 3.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field_error(error: Any) -> dict[str, Any]:
    name, *place = error["loc"] or ("body",)
    index = {"index": place[0]} if place and isinstance(place[0], int) else {}
    return {"field": escaped(str(name))[:100], "detail": str(error["msg"]), **index}
