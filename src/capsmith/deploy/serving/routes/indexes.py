"""``/v1/indexes``: which indexes there are, their images, and scanning their folders again."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from capsmith.core.errors import CapsmithError
from capsmith.deploy.serving.embedding import answers
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.embedding.options import MAX_NUMBER
from capsmith.deploy.serving.problems import Problem, problem_responses
from capsmith.deploy.serving.responses import as_json
from capsmith.deploy.serving.routes.operations import operation, problems

router = APIRouter(tags=["search"])

Name = Annotated[str, Path(min_length=1, max_length=100, description="Name of the index.")]
Number = Annotated[int, Path(ge=0, le=MAX_NUMBER, description="Number of the image.")]


def _answers(model: Any, example: Any, status: int, *statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"example": example}}
    return {status: {"model": model, "description": "Done.", "content": content}, **problem_responses(*statuses)}


def _embeddings(request: Request) -> Embeddings:
    embeddings: Embeddings = request.app.state.service.embeddings
    return embeddings


def _described(embeddings: Embeddings, name: str) -> dict[str, Any]:
    index = embeddings.index(name)
    return {**index.describe(), "default": index is embeddings.index()}


@router.get(
    "/v1/indexes",
    **operation("list_indexes", "List the indexes", "The indexes of images, the default first.", "/v1/indexes"),
    responses=_answers(answers.IndexList, {"indexes": [answers.INDEX]}, 200, 503),
)
def list_indexes(request: Request) -> Response:
    """Lists the indexes; none if the service was started without."""
    embeddings = _embeddings(request)
    with problems():
        return as_json({"indexes": [_described(embeddings, name) for name in embeddings.index_names]})


@router.get(
    "/v1/indexes/{name}",
    **operation("get_index", "Get an index", "An index, and how far its refresh is.", "/v1/indexes/photos"),
    responses=_answers(answers.IndexDescription, answers.INDEX, 200, 404, 422, 503),
)
def get_index(request: Request, name: Name) -> Response:
    """Describes an index."""
    with problems():
        return as_json(_described(_embeddings(request), name))


@router.post(
    "/v1/indexes/{name}/refresh",
    status_code=202,
    **operation(
        "refresh_index",
        "Scan the folder of an index again",
        "Adds what is new in the folder of the images, and takes out what is gone, in the background; "
        "`GET /v1/indexes/{name}` says how far it is. Searches find the images as they were until it has ended.",
        "/v1/indexes/photos/refresh",
        "POST",
    ),
    responses=_answers(answers.IndexDescription, answers.INDEX, 202, 404, 409, 422, 503),
)
def refresh_index(request: Request, name: Name) -> Response:
    """Starts a scan."""
    embeddings = _embeddings(request)
    with problems():
        embeddings.index(name).start_refresh()
        answer = as_json(_described(embeddings, name))
    answer.status_code = 202
    return answer


async def _picture(request: Request, name: str, id: int, large: bool) -> Response:
    embeddings = _embeddings(request)
    with problems():
        index = embeddings.index(name)
    try:
        content = await embeddings.draw(index, id, large)
    except CapsmithError as error:
        raise Problem(404, "there is no such image in the index, or its file cannot be read any more") from error
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/jpeg", headers=headers)


def _jpeg(part: str, size: str) -> dict[str, Any]:
    content = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}, "example": "(a JPEG)"}}
    description = f"A {size} JPEG of an image, made by the service."
    return {
        **operation(
            f"get_{part}", f"Get a {size} JPEG of an image", description, f"/v1/indexes/photos/images/7/{part}"
        ),
        "responses": {
            200: {"description": "A JPEG.", "content": content},
            304: {"description": "The client has it."},
            **problem_responses(404, 422, 503),
        },
    }


@router.get("/v1/indexes/{name}/images/{id}/thumbnail", **_jpeg("thumbnail", "small"))
async def get_thumbnail(request: Request, name: Name, id: Number) -> Response:
    """Returns a small JPEG of an image."""
    return await _picture(request, name, id, False)


@router.get("/v1/indexes/{name}/images/{id}/picture", **_jpeg("picture", "large"))
async def get_picture(request: Request, name: Name, id: Number) -> Response:
    """Returns a large JPEG of an image."""
    return await _picture(request, name, id, True)
