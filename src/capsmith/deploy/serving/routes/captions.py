"""``POST /v1/captions``."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.options import CaptionOptions
from capsmith.deploy.serving.problems import problem_responses
from capsmith.deploy.serving.responses import CAPTIONS, SMALL_PNG, Captions, as_json, captions_document
from capsmith.deploy.serving.routes.operations import require_images
from capsmith.deploy.serving.service import Service

router = APIRouter(tags=["captions"])

_DESCRIPTION = """Captions one image or several. Send them as files of a form, or as base64 texts in JSON; all other
fields are the same.

```
curl -F image=@photo.jpg http://127.0.0.1:8000/v1/captions
curl -F image=@one.jpg -F image=@two.png -F search=beam -F n=3 -F attention=true http://127.0.0.1:8000/v1/captions
```

Images are recognised by their content: JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, PPM or ICO. If one of several images
cannot be read, the request fails as a whole, and `errors` lists which ones cannot.
"""
_FORM: dict[str, Any] = {
    "schema": {"$ref": "#/components/schemas/CaptionForm"},
    "encoding": {name: {"style": "form", "explode": True} for name in ("include", "exclude")},
}
_JSON: dict[str, Any] = {
    "schema": {"$ref": "#/components/schemas/CaptionRequest"},
    "examples": {
        "one image": {"value": {"images": [SMALL_PNG]}},
        "beam search": {"value": {"images": [SMALL_PNG], "search": "beam", "n": 3, "attention": True}},
        "sampling": {"value": {"images": [SMALL_PNG], "search": "sample", "n": 3, "temperature": 0.8, "seed": 1}},
    },
}


@router.post(
    "/v1/captions",
    operation_id="create_captions",
    summary="Caption images",
    description=_DESCRIPTION,
    response_class=Response,
    responses={
        200: {
            "model": Captions,
            "description": "A caption for each image, in their order.",
            "content": {"application/json": {"example": CAPTIONS}},
        },
        **problem_responses(404, 411, 415, 422, 503, 504),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": _FORM, "application/json": _JSON}}
    },
)
async def create_captions(request: Request) -> Response:
    """Captions the images of a form or of a JSON body."""
    service: Service = request.app.state.service
    reader = service.reader(request)
    try:
        body = await reader.read()
        options = CaptionOptions.of(body)
        field = require_images(body)
        model = service.model(options.model)
        pictures, captions = await service.caption(request, model, body, options, field)
        return as_json(captions_document(model.name, body.images, pictures, captions, options.attention))
    finally:
        reader.release()
