"""Multipart forms, read piece by piece and kept in memory: ``image`` parts are images, all others are short texts."""

import logging
import re

from python_multipart.multipart import MultipartParser, parse_options_header

from capsmith.core.errors import escaped
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.serving.uploads import IMAGES, Body, BodyShape, Upload, too_many_images

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it logs each form that is not valid

MAX_FIELD = 4096
"""Bytes of a form field that is not an image, unless the operation allows more."""
MAX_NAME = 255
"""Characters of a file name that are kept."""
_MAX_PART_HEADER = 2048  # bytes of one header of a part
_MAX_PART_HEADERS = 8
_MAX_FIELD_NAME = 100
_PARSER_LOG = logging.getLogger("python_multipart.multipart")
_PARSER_LOG.addHandler(logging.NullHandler())  # it would print a line for each malformed body
_PARSER_LOG.propagate = False


class Form:
    """Receives the parts of a multipart form from its parser.

    Attributes:
        body: What was read.
        complete: The last boundary was read.

    Args:
        settings: The limits.
        shape: What it may hold.
    """

    def __init__(self, settings: ServeSettings, shape: BodyShape = IMAGES) -> None:
        self._settings, self._shape = settings, shape
        self.body = Body()
        self.complete = False
        self._parts = 0
        self._header_name = self._header_value = b""
        self._disposition = b""
        self._data = bytearray()
        self._name = ""
        self._file_name: bytes | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        """Returns a parser that calls this form. Its ``write`` raises ``Problem`` and ``FormParserError``."""
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
        if self._is_image and len(self.body.images) == self._shape.most(self._settings):
            raise too_many_images(self._shape.most(self._settings))
        if self._file_name is not None and not self._is_image:
            errors = [{"field": escaped(self._name), "detail": "send files as image"}]
            raise Problem(422, "a part other than image is a file", errors)

    @property
    def _is_image(self) -> bool:
        return self._name == "image"

    def _add(self, data: bytes, start: int, end: int) -> None:
        most = self._shape.long_fields.get(self._name, MAX_FIELD)
        if not self._is_image and len(self._data) + end - start > most:
            errors = [{"field": escaped(self._name), "detail": f"more than {most:,} bytes"}]
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
