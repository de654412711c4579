"""The studio as an application: the caption service over the same models, with the studio's operations and its page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from capsmith.deploy.serving.app import create_app
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.studio.routes import studio_router
from capsmith.deploy.studio.studio import Studio
from capsmith.deploy.studio.training_routes import training_router

PAGE = Path(__file__).parent / "page"
"""The files of the page, at ``/static/studio/``; ``index.html`` is at ``/``."""


def studio_app(studio: Studio, settings: ServeSettings) -> FastAPI:
    """Returns the application. It captions in the background as long as it runs, and closes the project at its end."""
    files = {"studio": PAGE}
    if (PAGE / "index.html").is_file():
        files["index.html"] = PAGE / "index.html"
    app = create_app(studio.models, settings, (studio_router(studio), training_router(studio)), files)
    app.state.studio = studio
    service = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Any) -> AsyncIterator[Any]:
        async with service(running) as state:
            captioning = asyncio.create_task(studio.run())
            try:
                yield state
            finally:
                captioning.cancel()
                with suppress(asyncio.CancelledError):
                    await captioning
                studio.close()

    app.router.lifespan_context = lifespan
    return app
