"""The OpenAPI 3.1 document: FastAPI's, with the bodies and errors that the operations read and answer by themselves."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from capsmith.deploy.serving.middleware import is_public
from capsmith.deploy.serving.openapi_bodies import REFERENCE, bodies, without_null
from capsmith.deploy.serving.problems import ProblemDocument
from capsmith.deploy.serving.settings import ServeSettings

_DESCRIPTION = """Captions of images by one's own models, recommendations of ready-made captions, and image
search. Errors are problem documents (RFC 9457).

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
    problem = ProblemDocument.model_json_schema(ref_template=REFERENCE)
    schemas.update(problem.pop("$defs"), Problem=problem, **bodies(settings))
    for name, field in _LEFT_OUT:
        schemas[name]["properties"][field] = without_null(schemas[name]["properties"][field])
    if settings.keys:
        document["components"]["securitySchemes"] = _SCHEMES
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if is_public(path) else [{"bearer": []}, {"key": []}]
    return document
