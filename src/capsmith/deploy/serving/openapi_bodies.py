"""The schemas of the bodies of requests, which FastAPI does not know: images as a form or as JSON, and options."""

from collections.abc import Mapping
from typing import Any

from capsmith.deploy.serving.describing.options import DescribeOptions, DetectOptions
from capsmith.deploy.serving.embedding.options import MAX_CAPTION, MAX_CAPTIONS, RecommendOptions, SearchOptions
from capsmith.deploy.serving.fields import RequestFields
from capsmith.deploy.serving.options import CaptionOptions
from capsmith.deploy.serving.settings import ServeSettings

REFERENCE = "#/components/schemas/{model}"
_FILE = {"type": "string", "format": "binary", "description": "An image file."}
_BASE64 = {
    "type": "string",
    "format": "byte",
    "contentEncoding": "base64",
    "minLength": 1,
    "description": "An image file in base64, or as a data URL (`data:image/png;base64,…`).",
}
_LINES = {
    "type": "string",
    "minLength": 1,
    "description": f"Captions to choose from, instead of a library: one on each line, at most {MAX_CAPTIONS:,} lines "
    f"of at most {MAX_CAPTION} characters.",
}


def bodies(settings: ServeSettings) -> dict[str, Any]:
    """Returns the schemas by their names.

    Args:
        settings: The limits, which they state.
    """
    count = {"minItems": 1, "maxItems": settings.max_images}
    many = f"At most {settings.max_images} images; the body has at most {settings.max_upload:,} bytes."
    files = {"type": "array", "items": _FILE, **count, "description": many}
    texts = {"type": "array", "items": _BASE64, **count, "description": many}
    caption = _options(CaptionOptions)
    search = caption["search"]
    caption["search"] = {"$ref": "#/components/schemas/Search"}
    recommend = _options(RecommendOptions)
    with_lines = {**recommend, "captions": _LINES}
    query = _options(SearchOptions)
    form, json = "Images as files, and options.", "Images as base64 texts, and options."
    return {
        **_parts(RecommendOptions),
        "Search": {**search, "title": "Search"},
        "CaptionForm": _body("CaptionForm", form, {"image": files, **caption}, "image"),
        "CaptionRequest": _body("CaptionRequest", json, {"images": texts, **caption}, "images"),
        "RecommendForm": _body("RecommendForm", form, {"image": files, **with_lines}, "image"),
        "RecommendRequest": _body("RecommendRequest", json, {"images": texts, **recommend}, "images"),
        "SearchForm": _body(
            "SearchForm", "A query: an image as a file, or one of the others.", {"image": _FILE, **query}
        ),
        "SearchRequest": _body(
            "SearchRequest", "A query: an image in base64, or one of the others.", {"image": _BASE64, **query}
        ),
        "DetectForm": _body("DetectForm", form, {"image": files, **_options(DetectOptions)}, "image"),
        "DetectRequest": _body("DetectRequest", json, {"images": texts, **_options(DetectOptions)}, "images"),
        "DescribeForm": _body("DescribeForm", form, {"image": files, **_options(DescribeOptions)}, "image"),
        "DescribeRequest": _body("DescribeRequest", json, {"images": texts, **_options(DescribeOptions)}, "images"),
        "MaxForm": _body("MaxForm", "One image as a file.", {"image": _FILE}, "image"),
    }


def _body(title: str, description: str, properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "description": description,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
        "properties": dict(properties),
    }


def _options(model: type[RequestFields]) -> dict[str, Any]:
    """Returns the schemas of the fields."""
    properties = model.model_json_schema(ref_template=REFERENCE)["properties"]
    return {name: without_null(schema) for name, schema in properties.items()}


def _parts(model: type[RequestFields]) -> dict[str, Any]:
    """Returns the schemas of objects inside the fields."""
    parts: dict[str, Any] = model.model_json_schema(ref_template=REFERENCE).get("$defs", {})
    for part in parts.values():
        part["properties"] = {name: without_null(schema) for name, schema in part["properties"].items()}
    return parts


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a field without null: what is not wanted is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**(kinds[0] if kinds else {}), **rest}
