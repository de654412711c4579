"""The API of IBM's MAX Image Caption Generator: clients of it work unchanged."""

import math
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.options import CaptionOptions
from capsmith.deploy.serving.problems import Problem, problem_responses
from capsmith.deploy.serving.responses import METADATA, PREDICTIONS, MaxMetadata, MaxPredictions, as_json
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.uploads import Body
from capsmith.models.caption import Caption

router = APIRouter(tags=["IBM MAX"])

_CAPTIONS = 3
_AS_400 = (411, 415, 422)  # MAX answers 400 to all that is wrong with a request
_TYPES = "send a form with one image, as in curl -F image=@photo.jpg"


@router.post(
    "/model/predict",
    operation_id="predict",
    summary="Caption an image, in the shape of IBM MAX",
    description="Captions one image by the default model. Requests and answers are those of IBM's MAX Image Caption "
    "Generator.\n\n```\ncurl -F image=@photo.jpg -X POST http://127.0.0.1:8000/model/predict\n```\n",
    response_class=Response,
    responses={
        200: {
            "model": MaxPredictions,
            "description": "The captions, best first.",
            "content": {"application/json": {"example": PREDICTIONS}},
        },
        **problem_responses(503, 504),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/MaxForm"}}},
        }
    },
)
async def predict(request: Request) -> Response:
    """Captions the image of a form. What is wrong with it is answered by 400, as MAX does."""
    service: Service = request.app.state.service
    reader = service.reader(request)
    try:
        model = service.model()
        try:
            image = _one_image(await reader.read())
            _, captions = await service.caption(request, model, image, CaptionOptions(n=_CAPTIONS))
        except Problem as problem:
            if problem.status not in _AS_400:
                raise
            raise Problem(400, problem.detail, problem.errors) from problem
        return as_json({"status": "ok", "predictions": _predictions(captions[0])})
    finally:
        reader.release()


def _one_image(body: Body) -> Body:
    if body.values is not None:
        raise Problem(415, _TYPES)
    if len(body.images) != 1 or body.fields:
        raise Problem(400, _TYPES, [{"field": "image", "detail": "exactly one image is needed, and no other field"}])
    return body


def _predictions(caption: Caption) -> list[dict[str, Any]]:
    captions = (caption, *caption.alternatives)[:_CAPTIONS]
    return [
        {"index": str(place), "caption": one.text, "probability": min(1.0, math.exp(one.log_probability))}
        for place, one in enumerate(captions)
    ]


@router.get(
    "/model/metadata",
    operation_id="get_metadata",
    summary="Describe the model, in the shape of IBM MAX",
    description="The default model.\n\n```\ncurl http://127.0.0.1:8000/model/metadata\n```\n",
    response_class=Response,
    responses={
        200: {
            "model": MaxMetadata,
            "description": "The default model.",
            "content": {"application/json": {"example": METADATA}},
        },
        **problem_responses(503),
    },
)
async def get_metadata(request: Request) -> Response:
    """Describes the default model."""
    service: Service = request.app.state.service
    model = service.model()
    trained_on = f", trained on {model.trained_on}" if model.trained_on else ""
    about = {"id": model.name, "name": model.name, "description": f"a captioner of capsmith{trained_on}"}
    return as_json({**METADATA, **about})
