"""The OpenAPI 3.1 document: FastAPI's, with the bodies and errors that the operations read and answer by themselves."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from capsmith.deploy.serving.middleware import is_public
from capsmith.deploy.serving.options import CaptionOptions
from capsmith.deploy.serving.problems import ProblemDocument
from capsmith.deploy.serving.settings import ServeSettings

_DESCRIPTION = """Captions of images by one's own models. Errors are problem documents (RFC 9457).

```
curl -F image=@photo.jpg http://127.0.0.1:8000/v1/captions
```
"""
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
_LEFT_OUT = (("Problem", "errors"), ("Problem", "current"), ("FieldError", "index"), ("Word", "attention"))
"""Fields of answers that are left out instead of being null."""
_REFERENCE = "#/components/schemas/{model}"


def openapi_bytes(app: FastAPI, settings: ServeSettings) -> bytes:
    """Returns the OpenAPI document of an application."""
    return json.dumps(openapi_document(app, settings), ensure_ascii=False).encode()


def openapi_document(app: FastAPI, settings: ServeSettings) -> dict[str, Any]:
    """Returns the OpenAPI document of an application as a dict.

    Args:
        app: The application.
        settings: Its limits, which the document states.
    """
    document = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemDocument.model_json_schema(ref_template=_REFERENCE)
    schemas.update(problem.pop("$defs"), Problem=problem, **_bodies(settings))
    for name, field in _LEFT_OUT:
        schemas[name]["properties"][field] = _without_null(schemas[name]["properties"][field])
    if settings.keys:
        document["components"]["securitySchemes"] = _SCHEMES
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if is_public(path) else [{"bearer": []}, {"key": []}]
    return document


def _bodies(settings: ServeSettings) -> dict[str, Any]:
    """Returns the schemas of the bodies, which FastAPI does not know."""
    properties = CaptionOptions.model_json_schema()["properties"]
    options = {name: _without_null(schema) for name, schema in properties.items()}
    search = options["search"]
    options["search"] = {"$ref": "#/components/schemas/Search"}
    file = {"type": "string", "format": "binary", "description": "An image file."}
    base64 = {
        "type": "string",
        "format": "byte",
        "contentEncoding": "base64",
        "minLength": 1,
        "description": "An image file in base64, or as a data URL (`data:image/png;base64,…`).",
    }
    count = {"minItems": 1, "maxItems": settings.max_images}
    images = f"At most {settings.max_images} images; the body has at most {settings.max_upload:,} bytes."
    return {
        "Search": {**search, "title": "Search"},
        "CaptionForm": {
            "title": "CaptionForm",
            "type": "object",
            "description": "Images as files, and options.",
            "required": ["image"],
            "additionalProperties": False,
            "properties": {
                "image": {"type": "array", "items": file, **count, "description": images},
                **options,
            },
        },
        "CaptionRequest": {
            "title": "CaptionRequest",
            "type": "object",
            "description": "Images as base64 texts, and options.",
            "required": ["images"],
            "additionalProperties": False,
            "properties": {"images": {"type": "array", "items": base64, **count, "description": images}, **options},
        },
        "MaxForm": {
            "title": "MaxForm",
            "type": "object",
            "description": "One image as a file.",
            "required": ["image"],
            "additionalProperties": False,
            "properties": {"image": file},
        },
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a field without null: what is not wanted is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**(kinds[0] if kinds else {}), **rest}
