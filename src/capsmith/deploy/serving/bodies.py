"""Bodies of requests: read within limits of size and time, as a form or as JSON. Nothing is written to disk."""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from capsmith.core.errors import escaped
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.serving.problems import Problem, busy
from capsmith.deploy.serving.request_body import too_large
from capsmith.deploy.serving.settings import ServeSettings

MAX_FIELD = 4096
"""Bytes of a form field that is not an image."""
MAX_NAME = 255
"""Characters of a file name that are kept."""
_MAX_PART_HEADER = 2048  # bytes of one header of a part
_MAX_PART_HEADERS = 8
_MAX_FIELD_NAME = 100
_DATA_URL = re.compile(r"data:image/[A-Za-z0-9.+-]{1,64};base64,")
_LARGE = 262_144  # bytes from which a body is parsed by a thread


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


@dataclass
class Upload:
    """An image of a request.

    Attributes:
        data: Its bytes.
        name: Its file name, only to be shown; None if it has none.
    """

    data: bytes
    name: str | None = None


@dataclass
class Body:
    """What a request holds.

    Attributes:
        images: The images.
        fields: Names and texts of a form's other fields.
        values: The other values of a JSON body; None for a form.
    """

    images: list[Upload] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    values: Mapping[str, Any] | None = None


class UploadMemory:
    """Bytes of all uploads in memory, which are bounded.

    Args:
        limit: Most bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def take(self, size: int) -> None:
        """Takes memory.

        Raises:
            Problem: 429: there is not enough.
        """
        if self.used + size > self.limit:
            raise busy("too many uploads are in progress; try again in a second", 1)
        self.used += size

    def give_back(self, size: int) -> None:
        """Gives memory back."""
        self.used -= size


class BodyReader:
    """Reads one body: in pieces, and no more than allowed.

    Args:
        scope: The request.
        receive: Receives its body.
        settings: The limits.
        memory: The memory of all uploads. ``release`` gives back what this body took.
    """

    def __init__(self, scope: Any, receive: Any, settings: ServeSettings, memory: UploadMemory) -> None:
        self._receive, self._settings, self._memory = receive, settings, memory
        self._headers = dict(scope["headers"])
        self._taken = 0

    def release(self) -> None:
        """Gives the memory of the body back."""
        self._memory.give_back(self._taken)
        self._taken = 0

    async def read(self) -> Body:
        """Returns the body.

        Raises:
            Problem: 400, 411, 413, 415, 422 or 429; ``receive`` raises 408 and 413 too.
            ClientGone: The client closed the connection.
        """
        kind, parameters = parse_options_header(self._headers.get(b"content-type"))
        if kind not in (b"multipart/form-data", b"application/json"):
            shown = escaped(kind.decode("latin-1"))[:80] or "without a Content-Type"
            raise Problem(415, f"send multipart/form-data or application/json, not {shown}")
        if b"content-length" not in self._headers and b"transfer-encoding" not in self._headers:
            raise Problem(411, "send a body, with its Content-Length")
        if kind == b"application/json":
            return await self._json(parameters)
        return await self._form(parameters)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yields the body in pieces, as long as there is memory for it."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            self._memory.take(len(piece))
            self._taken += len(piece)
            if piece:
                yield piece
            more = message.get("more_body", False)

    async def _form(self, parameters: Mapping[bytes, bytes]) -> Body:
        boundary = parameters.get(b"boundary", b"")
        charset = parameters.get(b"charset", b"utf-8").lower()
        if not boundary:
            raise Problem(400, "the Content-Type has no boundary: let your client set it, as curl -F does")
        if charset not in (b"utf-8", b"utf8", b"us-ascii"):
            raise Problem(415, "write form fields in UTF-8")
        form = _Form(self._settings)
        limit = self._settings.max_upload
        if int(self._headers.get(b"content-length", b"0")) > limit:
            raise too_large(limit)
        try:
            parser = form.parser(boundary)
            async for piece in self._pieces():
                if self._taken > limit:
                    raise too_large(limit)
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, "the body is not a valid multipart form") from error
        if not form.complete:
            raise Problem(400, "the multipart form is not complete: its last boundary is missing")
        return form.body

    async def _json(self, parameters: Mapping[bytes, bytes]) -> Body:
        if parameters.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
            raise Problem(415, "write JSON in UTF-8")
        raw = bytearray()
        async for piece in self._pieces():
            raw += piece
        if len(raw) < _LARGE:
            return _json_body(bytes(raw), self._settings)
        return await asyncio.to_thread(_json_body, bytes(raw), self._settings)


class _Form:
    """A multipart form: parts called ``image`` are images, all others are short texts."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self.body = Body()
        self.complete = False
        self._parts = 0
        self._header_name = self._header_value = b""
        self._disposition = b""
        self._data = bytearray()
        self._name = ""
        self._file_name: bytes | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._add,
                "on_part_end": self._end,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_end": self._finish,
            },
            max_header_count=_MAX_PART_HEADERS,
            max_header_size=_MAX_PART_HEADER,
        )

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._settings.max_fields:
            raise Problem(422, f"the form has more than {self._settings.max_fields} parts")
        self._disposition, self._data = b"", bytearray()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise Problem(400, 'a part of the form has no header Content-Disposition: form-data; name="…"')
        self._name = _text(options[b"name"], "name")
        self._file_name = options.get(b"filename")
        if len(self._name) > _MAX_FIELD_NAME:
            raise Problem(422, f"the name of a field has more than {_MAX_FIELD_NAME} characters")
        if self._is_image and len(self.body.images) == self._settings.max_images:
            raise too_many_images(self._settings)
        if self._file_name is not None and not self._is_image:
            errors = [{"field": escaped(self._name), "detail": "send files as image"}]
            raise Problem(422, "a part other than image is a file", errors)

    @property
    def _is_image(self) -> bool:
        return self._name == "image"

    def _add(self, data: bytes, start: int, end: int) -> None:
        if not self._is_image and len(self._data) + end - start > MAX_FIELD:
            errors = [{"field": escaped(self._name), "detail": f"more than {MAX_FIELD:,} bytes"}]
            raise Problem(422, "a field of the form is too long", errors)
        self._data += memoryview(data)[start:end]

    def _end(self) -> None:
        if self._is_image:
            self.body.images.append(Upload(bytes(self._data), _shown_name(self._file_name)))
        else:
            self.body.fields.append((self._name, _text(bytes(self._data), self._name)))
        self._data = bytearray()

    def _finish(self) -> None:
        self.complete = True


def too_many_images(settings: ServeSettings) -> Problem:
    """Returns the problem of a request with too many images."""
    detail = f"more than {settings.max_images} images; send several requests"
    return Problem(422, detail, [{"field": "image", "detail": detail}])


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(422, "a field is not UTF-8", [{"field": escaped(name), "detail": "not UTF-8 text"}]) from error


def _shown_name(raw: bytes | None) -> str | None:
    """Returns a file name in a form that is safe to show, without folders."""
    if not raw:
        return None
    name = re.split(r"[/\\]", raw.decode("utf-8", "replace"))[-1]
    return escaped(name)[:MAX_NAME] or None


def _json_body(raw: bytes, settings: ServeSettings) -> Body:
    try:
        document = parse_json(raw)
    except ValueError as error:
        raise Problem(400, f"the body is not valid JSON: {_reason(error)}") from error
    if not isinstance(document, dict):
        raise Problem(422, 'the body is not an object, such as {"images": ["…"]}')
    images = document.pop("images", None)
    if not isinstance(images, list):
        detail = "a list of base64 texts is needed"
        raise Problem(422, "images is missing or not a list", [{"field": "images", "detail": detail}])
    if len(images) > settings.max_images:
        raise too_many_images(settings)
    return Body([Upload(_decoded(image, place)) for place, image in enumerate(images)], values=document)


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return escaped(str(error))[:200]


def _decoded(image: Any, index: int) -> bytes:
    """Returns the bytes of an image in base64, or in a data URL."""
    try:
        if not isinstance(image, str):
            raise ValueError("not a text")
        start = 0
        if image.startswith("data:"):
            if not (url := _DATA_URL.match(image)):
                raise ValueError("only data URLs of the form data:image/…;base64,… are read")
            start = url.end()
        return base64.b64decode(image[start:].encode("ascii"), validate=True)
    except binascii.Error:
        reason = "not valid base64"
    except UnicodeEncodeError:
        reason = "not valid base64: it has other characters than ASCII"
    except ValueError as error:
        reason = str(error)
    raise Problem(422, "an image is not valid base64", [{"field": "images", "index": index, "detail": reason}])
