"""``GET /v1/models``."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.problems import problem_responses
from capsmith.deploy.serving.responses import MODELS, ModelList, as_json
from capsmith.deploy.serving.service import Service

router = APIRouter(tags=["captions"])


@router.get(
    "/v1/models",
    operation_id="list_models",
    summary="List the models",
    description="The models of this service, the default first. A request chooses one by `model`.\n\n"
    "```\ncurl http://127.0.0.1:8000/v1/models\n```\n",
    response_class=Response,
    responses={
        200: {
            "model": ModelList,
            "description": "The models.",
            "content": {"application/json": {"example": MODELS}},
        },
        **problem_responses(503),
    },
)
async def list_models(request: Request) -> Response:
    """Lists the models."""
    service: Service = request.app.state.service
    service.model()  # 503 while they are loading
    return as_json({"models": service.models.describe()})
