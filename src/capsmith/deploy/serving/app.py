"""The caption service as an application. The server runs it; the studio adds operations and pages of its own."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from capsmith.core.pages.stylesheet import stylesheet
from capsmith.deploy.serving.middleware import ServiceMiddleware
from capsmith.deploy.serving.models import Models
from capsmith.deploy.serving.openapi import openapi_bytes
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.routes import (
    captions,
    descriptions,
    detections,
    indexes,
    max_api,
    model_list,
    recommendations,
    search,
    state,
)
from capsmith.deploy.serving.routes.pages import page_router
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.serving.static_files import StaticFiles

ROUTERS = tuple(
    one.router
    for one in (captions, model_list, descriptions, detections, recommendations, search, indexes, state, max_api)
)
"""The operations of the service."""
HERE = Path(__file__).parent
FOLDERS = {
    "": HERE / "page",
    "swagger": HERE / "swagger",
}
"""Files below ``/static/``: the page's own by their names, and those of Swagger UI below theirs."""


def create_app(
    models: Models,
    settings: ServeSettings,
    routers: Iterable[APIRouter] = (),
    files: Mapping[str, Path] | None = None,
) -> FastAPI:
    """Returns the application.

    Args:
        models: The models. They may still be loading.
        settings: The limits.
        routers: Further operations. Each route has its full path; a prefix of the router is part of it.
        files: Further files below ``/static/``: a folder by the beginning of its files' names, such as ``studio``, or
            a file by its name. ``index.html`` is the page at ``/``.
    """
    service = Service(models, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="capsmith",
        version=version("capsmith"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    static = StaticFiles({**FOLDERS, **(files or {})}, {"style.css": stylesheet()})
    pages = page_router(static, cache(lambda: openapi_bytes(app, settings)))
    for router in (*ROUTERS, *routers, pages):
        app.router.routes.extend(router.routes)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_middleware(ServiceMiddleware, settings=settings, metrics=service.metrics)
    return app


def _problem(request: Request, error: Any) -> Response:
    response: Response = error.response()
    return response


def _http_problem(request: Request, error: Any) -> Response:
    """Answers what Starlette refuses: paths that do not exist, and methods that are not possible."""
    if error.status_code == 405:
        allowed = sorted(_methods(request))
        detail = f"{request.method[:20]} is not possible here, only {', '.join(allowed)}"
        return Problem(405, detail, headers={"allow": ", ".join(allowed)}).response()
    if error.status_code == 404:
        return Problem(404, "there is nothing at this path; see /docs").response()
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


def _methods(request: Request) -> set[str]:
    """Returns the methods that are possible at a path."""
    routes: list[Any] = [route for route in request.app.routes if hasattr(route, "path_regex")]
    methods = {
        method for route in routes if route.path_regex.match(request.scope["path"]) for method in route.methods or ()
    }
    return methods | {"HEAD"} if "GET" in methods else methods


def _validation_problem(request: Request, error: Any) -> Response:
    """Answers parameters and bodies that FastAPI has checked."""
    errors = []
    for one in error.errors():
        place = [part for part in one["loc"] if part not in ("body", "query", "path", "header")]
        errors.append({"field": ".".join(map(str, place))[:100] or "body", "detail": str(one["msg"])})
    return Problem(422, f"not valid: {', '.join(dict.fromkeys(error['field'] for error in errors))}", errors).response()
