"""The page, its files, Swagger UI, and the OpenAPI document. None of it needs another server."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from capsmith.deploy.serving.security import DOCS_POLICY, PAGE_POLICY
from capsmith.deploy.serving.static_files import StaticFiles


def page_router(files: StaticFiles, openapi: Callable[[], bytes]) -> APIRouter:
    """Returns the operations.

    Args:
        files: The files; ``index.html`` is the page.
        openapi: Returns the OpenAPI document.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def get_page(request: Request) -> Response:
        if "index.html" not in files:
            return RedirectResponse("/docs", 303)
        return files.answer(request, "index.html", {"content-security-policy": PAGE_POLICY})

    @router.get("/docs")
    async def get_docs(request: Request) -> Response:
        return files.answer(request, "swagger/index.html", {"content-security-policy": DOCS_POLICY})

    @router.get("/static/{name:path}")
    async def get_file(request: Request, name: str) -> Response:
        return files.answer(request, name)

    @router.get("/favicon.ico")
    async def get_icon(request: Request) -> Response:
        return files.answer(request, "icon.svg")

    @router.get("/openapi.json")
    async def get_openapi() -> Response:
        return Response(openapi(), media_type="application/json", headers={"cache-control": "no-cache"})

    return router
