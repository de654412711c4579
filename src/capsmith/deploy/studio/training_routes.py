"""The studio's operations on a training from the corrections."""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from capsmith.core.errors import CapsmithError, one_line
from capsmith.deploy.serving.problems import Problem, problem_responses
from capsmith.deploy.serving.responses import as_json
from capsmith.deploy.studio.answers import NO_TRAINING, Training
from capsmith.deploy.studio.rows import utf8
from capsmith.deploy.studio.studio import Retraining, Studio


def training_router(studio: Studio) -> APIRouter:
    """Returns the operations. The body of a request does not matter."""
    router = APIRouter(prefix="/v1/studio", tags=["studio"])

    @router.get("/retrain", **_operation("get_training", "How far is the training?"))
    async def get_training() -> Response:
        return as_json(await _status(studio))

    @router.post("/retrain", **_operation("start_training", "Train from the corrections", 409))
    async def start_training() -> Response:
        await _call(_required(studio).start)
        return as_json(await _status(studio))

    @router.delete("/retrain", **_operation("stop_training", "Stop the training", 409))
    async def stop_training() -> Response:
        await _call(_required(studio).stop)
        return as_json(await _status(studio))

    return router


async def _status(studio: Studio) -> dict[str, Any]:
    if studio.retraining is None:
        return NO_TRAINING
    return NO_TRAINING | await asyncio.to_thread(studio.retraining.status)


def _required(studio: Studio) -> Retraining:
    if studio.retraining is None:
        raise Problem(409, "this studio cannot train")
    return studio.retraining


async def _call(method: Any) -> None:
    try:
        await asyncio.to_thread(method)
    except CapsmithError as error:
        raise Problem(409, utf8(one_line(error))) from error


def _operation(name: str, summary: str, *statuses: int) -> dict[str, Any]:
    content = {"application/json": {"example": NO_TRAINING}}
    answer = {"model": Training, "description": "The state of the training.", "content": content}
    return {
        "operation_id": name,
        "summary": summary,
        "response_class": Response,
        "responses": {200: answer, **problem_responses(*statuses)},
    }
