"""``GET /healthz``, ``GET /readyz`` and ``GET /metrics``."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from capsmith.deploy.serving.metrics import CONTENT_TYPE
from capsmith.deploy.serving.problems import busy, problem_responses
from capsmith.deploy.serving.responses import State, as_json
from capsmith.deploy.serving.service import LOADING, Service

router = APIRouter(tags=["operation"])


def _state(status: str, description: str) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"example": {"status": status}}}
    return {200: {"model": State, "description": description, "content": content}}


@router.get(
    "/healthz",
    operation_id="get_health",
    summary="Is the service running?",
    description="Answers as soon as the service listens.\n\n```\ncurl http://127.0.0.1:8000/healthz\n```\n",
    response_class=Response,
    responses={**_state("ok", "It is running."), **problem_responses()},
)
async def get_health() -> Response:
    """Answers that the service is running."""
    return as_json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Are the models loaded?",
    description="503 until all models are loaded, and libraries and indexes.\n\n```\ncurl --fail http://127.0.0.1:8000/readyz\n```\n",
    response_class=Response,
    responses={**_state("ready", "The models are loaded."), **problem_responses(503)},
)
async def get_readiness(request: Request) -> Response:
    """Answers whether the models are loaded."""
    service: Service = request.app.state.service
    service.model()
    if not service.embeddings.ready:
        raise busy("the libraries and indexes are still being loaded", LOADING, 503)
    return as_json({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Metrics for Prometheus",
    description="Requests, times, batch sizes, images that wait, captions, and what was refused because of load.\n\n"
    "```\ncurl http://127.0.0.1:8000/metrics\n```\n",
    response_class=Response,
    responses={
        200: {
            "description": "The metrics in the text format of Prometheus.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "# TYPE capsmith_captions_total counter\ncapsmith_captions_total 3.0\n",
                }
            },
        },
        **problem_responses(),
    },
)
async def get_metrics(request: Request) -> Response:
    """Returns the metrics."""
    service: Service = request.app.state.service
    waiting = {model.name: model.batcher.waiting for model in service.models}
    if (worker := service.embeddings.worker).used:
        waiting[worker.name] = worker.waiting
    return Response(service.metrics.text(waiting, service.memory.used), media_type=CONTENT_TYPE)
