"""What schemathesis must know besides the OpenAPI document: images, and rules between fields, which a schema lacks.

``benchmarks.api_conformance`` loads it through ``SCHEMATHESIS_HOOKS``. Only requests that are meant to be valid are
changed; those that are meant to be invalid are sent as they are.
"""

import base64
import io
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.transport.serialization import Binary

_BEAM = ("beam_size", "length_penalty")
_SAMPLE = ("temperature", "top_k", "top_p", "seed")
_OWN_MAX_LENGTH = 30  # of the captioner that is served


def _image(form: str, colour: tuple[int, int, int], side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, form)
    return file.getvalue()


IMAGES = [
    _image(form, colour, side)
    for form, colour, side in (
        ("PNG", (200, 20, 20), 1),
        ("JPEG", (20, 200, 20), 16),
        ("GIF", (20, 20, 200), 5),
        ("WEBP", (90, 90, 90), 30),
        ("BMP", (1, 2, 3), 2),
    )
]

schemathesis.openapi.format("byte", st.sampled_from([base64.b64encode(image).decode() for image in IMAGES]))


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Hides that parts of forms are files: schemathesis 4.32 fails on its own files where it makes invalid forms."""
    for name in ("CaptionForm", "MaxForm", "RecommendForm", "SearchForm", "DetectForm", "DescribeForm"):
        image = raw_schema["components"]["schemas"][name]["properties"]["image"]
        image.get("items", image).pop("format")


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Makes requests that are meant to be valid so: with images, and without fields that contradict others."""
    if case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        {"/v1/recommendations": _known_captions, "/v1/search": _one_query}.get(case.path, _reconcile)(case.body)
        if "image" in case.body and case.media_type == "multipart/form-data":
            texts = case.body["image"]
            case.body["image"] = [_file(text) for text in texts] if isinstance(texts, list) else _file(texts)
    return case


def _file(text: str) -> Binary:
    """Returns an image that a text chooses."""
    return Binary(IMAGES[len(text) % len(IMAGES)])


def _known_captions(body: dict[str, Any]) -> None:
    """Gives captions words that the embedding knows, a theme that there is, and no second library."""
    own = body.get("captions")
    if isinstance(own, list):
        words = ["a red day", {"caption": "Out of the blue", "description": "blue", "theme": "sea"}]
        body["captions"] = (words * len(own))[: len(own)]
    elif own is not None:
        body["captions"] = "a red day\na blue day"
    if own is not None:
        body.pop("library", None)
        body.pop("theme", None)
    if "theme" in body:
        body["theme"] = "warm"


def _one_query(body: dict[str, Any]) -> None:
    """Keeps one query, and the fields that fit it; the index has no captions."""
    body.pop("words", None)
    given = [name for name in ("image", "like", "text") if name in body]
    for name in given[1:]:
        body.pop(name)
    if not given:
        body["text"] = "red"
    if "text" in body:
        body.pop("by", None)


def _reconcile(body: dict[str, Any]) -> None:
    sampling = body.get("search") == "sample" or any(name in body for name in _SAMPLE)
    search = body.get("search", "sample" if sampling else "beam")
    for name in {"greedy": (*_BEAM, *_SAMPLE), "beam": _SAMPLE, "sample": (*_BEAM, "include")}.get(search, ()):
        body.pop(name, None)
    for name, value in (("prefix", "a photo"), ("include", ["dog"])):  # the captioner must know their words
        if name in body:
            body[name] = value
            body["max_length"] = max(10, body.get("max_length", 10))
    if body.get("min_length", 0) > body.get("max_length", _OWN_MAX_LENGTH):
        body.pop("min_length")
