"""JSON bodies with images in base64."""

import base64
import binascii
import re
from typing import Any

from capsmith.core.errors import escaped
from capsmith.core.readers.json_files import parse_json
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.serving.uploads import IMAGES, Body, BodyShape, Upload, too_many_images

_DATA_URL = re.compile(r"data:image/[A-Za-z0-9.+-]{1,64};base64,")


def json_body(raw: bytes, settings: ServeSettings, shape: BodyShape = IMAGES) -> Body:
    """Returns the images and the other values of a JSON body.

    Args:
        raw: The body.
        settings: The limits.
        shape: What it may hold.

    Raises:
        Problem: 400 if it is not valid JSON, 422 if its images are not.
    """
    if raw.count(b",") > shape.max_values:  # parsing millions of values takes seconds
        raise Problem(422, "the body has too many values")
    if any(raw.count(one) > shape.max_values for one in (b"[", b"{", b'"', b"\\ud", b"\\uD")):
        raise Problem(400, "the body is not valid JSON of a request: it has too many brackets or quotes")
    try:
        document = parse_json(raw)
    except ValueError as error:
        raise Problem(400, f"the body is not valid JSON: {_reason(error)}") from error
    if not isinstance(document, dict):
        raise Problem(422, f'the body is not an object, such as {{"{shape.key}": …}}')
    if len(document) > settings.max_fields:
        raise Problem(422, f"the body has more than {settings.max_fields} keys")
    if shape.key not in document and not shape.required:
        return Body(values=document)
    images = document.pop(shape.key, None)
    if shape.single:
        return Body([Upload(_decoded(images, shape.key))], values=document)
    if not isinstance(images, list):
        detail = "a list of base64 texts is needed"
        raise Problem(422, f"{shape.key} is missing or not a list", [{"field": shape.key, "detail": detail}])
    if len(images) > shape.most(settings):
        raise too_many_images(shape.most(settings))
    return Body([Upload(_decoded(image, shape.key, place)) for place, image in enumerate(images)], values=document)


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return escaped(str(error))[:200]


def _decoded(image: Any, key: str, index: int | None = None) -> bytes:
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
    place = {} if index is None else {"index": index}
    raise Problem(422, "an image is not valid base64", [{"field": key, "detail": reason, **place}])
