"""The studio's API. Images are addressed by number; no path is ever read from a request."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from capsmith.core.errors import ConfigError, DataError, ImageError, one_line
from capsmith.deploy.serving.problems import Problem, busy, problem_responses
from capsmith.deploy.serving.responses import as_json
from capsmith.deploy.studio import answers
from capsmith.deploy.studio.answers import MAX_NUMBER
from capsmith.deploy.studio.bodies import read_body
from capsmith.deploy.studio.caption_text import CaptionError
from capsmith.deploy.studio.exports import STEM, table
from capsmith.deploy.studio.project import StudioError
from capsmith.deploy.studio.records import Conflict, UnknownImage
from capsmith.deploy.studio.rows import utf8
from capsmith.deploy.studio.studio import Studio

MAX_LIMIT = 1000
"""Most images in one answer."""
MAX_QUERY = 200
"""Longest query in characters."""
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="Number of the image.")]


class ListQuery(BaseModel):
    """Which part of which list."""

    model_config = ConfigDict(extra="forbid")

    filter: Literal["all", "todo", "edited", "accepted", "failed"] = Field(
        default="all", description="`todo`: images about which no person decided."
    )
    q: str = Field(
        default="", max_length=MAX_QUERY, description="Words that the caption or the file name contains, in any case."
    )
    sort: Literal["name", "uncertain", "score"] = Field(
        default="name", description="`uncertain`: uncertain captions first; `score`: likely captions first."
    )
    offset: int = Field(default=0, ge=0, le=MAX_NUMBER, description="Images to skip.")
    limit: int = Field(default=200, ge=1, le=MAX_LIMIT, description="Images to return at most.")
    ids: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,10}(,[0-9]{1,10}){0,99}$",
        description="Only the images with these numbers, separated by commas.",
        examples=["3,7,9"],
    )

    def numbers(self) -> list[int] | None:
        """Returns the numbers of ``ids``."""
        return None if self.ids is None else [int(number) for number in self.ids.split(",")]


class DetailQuery(BaseModel):
    """What an image is returned with."""

    model_config = ConfigDict(extra="forbid")

    attention: bool = Field(default=True, description="Also return where the model looked, if it can tell.")


def studio_router(studio: Studio) -> APIRouter:
    """Returns the operations on a project."""
    router = APIRouter(prefix="/v1/studio", tags=["studio"])
    _add_images(router, studio)
    _add_changes(router, studio)
    _add_files(router, studio)
    return router


def _add_images(router: APIRouter, studio: Studio) -> None:
    @router.get("/images", **_operation("list_images", "List the images", answers.ImagePage, answers.PAGE, 422, 503))
    async def list_images(query: Annotated[ListQuery, Query()]) -> Response:
        with _problems():
            part: dict[str, Any] = {"offset": query.offset, "limit": query.limit, "ids": query.numbers()}
            page = await asyncio.to_thread(studio.store.images, query.filter, query.q, query.sort, **part)
        return as_json({"total": page.total, "images": [answers.listed(image) for image in page.images]})

    @router.get(
        "/images/{id}",
        **_operation("get_image", "Get an image", answers.DetailedImage, answers.DETAILED, 404, 422, 503),
    )
    async def get_image(id: Number, query: Annotated[DetailQuery, Query()]) -> Response:
        with _problems():
            image = await asyncio.to_thread(studio.store.image, id)
        words = await studio.looks.words(image) if query.attention else None
        return as_json(answers.detailed(image, words))

    @router.get("/progress", **_operation("get_progress", "How far is it?", answers.Progress, answers.PROGRESS, 503))
    async def get_progress() -> Response:
        with _problems():
            return as_json(await asyncio.to_thread(studio.progress))


def _add_changes(router: APIRouter, studio: Studio) -> None:
    edit = _operation("edit_image", "Decide about an image", answers.DetailedImage, answers.DETAILED, *_CHANGES)

    @router.put("/images/{id}", **edit | _body(answers.EDIT_SCHEMA))
    async def edit_image(id: Number, request: Request) -> Response:
        body = await read_body(request, answers.Edit)
        with _problems():
            image = await asyncio.to_thread(studio.store.edit, id, body.caption, body.status, body.revision)
        return as_json(answers.detailed(image))

    undo = _operation("undo_edit", "Take the last decision back", answers.DetailedImage, answers.DETAILED, *_CHANGES)

    @router.post("/images/{id}/undo", **undo | _body(answers.Undo.model_json_schema()))
    async def undo_edit(id: Number, request: Request) -> Response:
        body = await read_body(request, answers.Undo)
        with _problems():
            image = await asyncio.to_thread(studio.store.undo, id, body.revision)
        return as_json(answers.detailed(image))

    scan = _operation("scan_folder", "Look for new images", answers.Progress, answers.PROGRESS, 409, 503)

    @router.post("/scan", **scan)
    async def scan_folder() -> Response:
        with _problems():
            await studio.scan()
            return as_json(await asyncio.to_thread(studio.progress))

    export = _operation(
        "write_exports", "Write the captions into files", answers.ExportAnswer, _EXPORTED, *_BODY, 409, 503
    )

    @router.post("/exports", **export | _body(answers.ExportRequest.model_json_schema()))
    async def write_exports(request: Request) -> Response:
        body = await read_body(request, answers.ExportRequest)
        with _problems():
            done = await studio.export(body.formats)
        sidecars = [f"{count:,} .{name} files" for name, count in done.sidecars.items()]
        return as_json(
            {
                "files": [*(path.name for path in done.tables), *sidecars],
                "folder": "images" if done.folder == studio.store.root else "project",
                "kept": len(done.kept),
                "kept_files": [utf8(name) for name in done.kept[:_SHOWN]],
                "failed": [utf8(one_line(error)) for error in done.failed[:_SHOWN]],
            }
        )


def _add_files(router: APIRouter, studio: Studio) -> None:
    for part, large in (("thumbnail", False), ("picture", True)):
        router.get(f"/images/{{id}}/{part}", **_jpeg(part))(_picture(studio, large))

    @router.get(f"/{STEM}.csv", **_CSV)
    async def get_captions() -> Response:
        with _problems():
            content = await asyncio.to_thread(lambda: b"".join(table(studio.store.captions())))
        name = f'attachment; filename="{STEM}.csv"'
        return Response(content, media_type="text/csv; charset=utf-8", headers={"content-disposition": name})


def _picture(studio: Studio, large: bool) -> Callable[..., Any]:
    async def get_picture(id: Number, request: Request) -> Response:
        with _problems():
            content = await studio.image_file(id, large)
        tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/jpeg", headers=headers)

    return get_picture


@contextmanager
def _problems() -> Iterator[None]:
    """Turns errors of the store into problems."""
    try:
        yield
    except UnknownImage as error:
        raise Problem(404, one_line(error)) from error
    except Conflict as error:
        raise Problem(409, utf8(one_line(error)), current=answers.listed(error.current)) from error
    except CaptionError as error:
        raise Problem(422, one_line(error), [{"field": "caption", "detail": one_line(error)}]) from error
    except ImageError as error:
        raise Problem(404, "the image cannot be read") from error
    except (ConfigError, DataError) as error:
        raise Problem(409, utf8(one_line(error))) from error
    except StudioError as error:
        raise busy(utf8(one_line(error)), 5, 503) from error


_SHOWN = 20
_BODY = (411, 415, 422)
_CHANGES = (404, 409, 503, *_BODY)
_EXPORTED: dict[str, Any] = {
    "files": ["captions.csv", "199 .txt files"],
    "folder": "images",
    "kept": 1,
    "kept_files": ["beach/one.txt"],
    "failed": [],
}


def _operation(name: str, summary: str, model: Any, example: dict[str, Any], *statuses: int) -> dict[str, Any]:
    """Returns the arguments of a route that answers by JSON."""
    content = {"application/json": {"example": example}}
    return {
        "operation_id": name,
        "summary": summary,
        "response_class": Response,
        "responses": {
            200: {"model": model, "description": "Done.", "content": content},
            **problem_responses(*statuses),
        },
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}}


def _jpeg(part: str) -> dict[str, Any]:
    content = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    not_modified = {"description": "The client has it."}
    return {
        "operation_id": f"get_{part}",
        "summary": {"thumbnail": "Get a small JPEG of an image", "picture": "Get a large JPEG of an image"}[part],
        "response_class": Response,
        "responses": {
            200: {"description": "A JPEG.", "content": content},
            304: not_modified,
            **problem_responses(404, 422, 503),
        },
    }


_CSV: dict[str, Any] = {
    "operation_id": "get_captions",
    "summary": "Get all captions as CSV",
    "response_class": Response,
    "responses": {
        200: {"description": "A table.", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **problem_responses(503),
    },
}
