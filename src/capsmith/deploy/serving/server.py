"""Runs the service: listens at once, loads the models meanwhile, and finishes what it accepted before it ends."""

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from capsmith.core.errors import CapsmithError, MissingExtraError
from capsmith.core.interrupts import active_signals
from capsmith.core.terminal import flush, print_error
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.loading import Load
from capsmith.deploy.serving.models import Models
from capsmith.deploy.serving.settings import ServeSettings

MakeApp = Callable[[Models, ServeSettings], Any]
"""Makes the application, such as ``app.create_app``."""

_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "h11": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
"""The packages of the extra, by their modules."""
_M_MMAP_THRESHOLD, _MAPPED = -3, 1 << 20  # buffers from a megabyte are mapped, so none stays behind in a heap
_ANSWERS = 2.0  # seconds in which requests that were given up are answered
_LAST_BATCH = 5.0  # seconds that native code may take at the end


def serve(
    sockets: Sequence[socket.socket],
    loads: Mapping[str, Load],
    settings: ServeSettings,
    make_app: MakeApp | None = None,
    started: Callable[[], None] = lambda: None,
    embeddings: Embeddings | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM, then answers the requests that were accepted.

    A second SIGINT ends the process at once.

    Args:
        sockets: From ``listening.listen``.
        loads: Loads each model, by name.
        settings: The limits.
        make_app: Makes the application; by default the caption service.
        started: Called once the service answers; the models may still be loading.
        embeddings: Libraries and indexes, which are loaded after the models.

    Raises:
        CapsmithError, OSError, MemoryError: A model cannot be loaded.
        MissingExtraError: FastAPI or uvicorn is not installed.
    """
    _prepare_process()
    models = Models(embeddings=embeddings or Embeddings())
    loading = _Loading(models)
    try:
        require_packages()
        models.start(loads, loading.done)
        server, app = _server(models, settings, make_app)
        loading.attach(server, app)
        asyncio.run(_run(server, models, settings, sockets, started))
    finally:
        for one in sockets:
            one.close()
    _leave(models)
    if models.error is not None:
        raise models.error


def _prepare_process() -> None:
    """Returns freed memory to the system at once, and keeps what Pillow says about images out of the log."""
    warnings.filterwarnings("ignore", module="PIL")
    with contextlib.suppress(OSError, AttributeError):  # not with other C libraries than glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED)


class _Loading:
    """Tells the server when the models are loaded, whichever comes first."""

    def __init__(self, models: Models) -> None:
        self._models, self._lock = models, threading.Lock()
        self._finished = False
        self._server: Any = None
        self._app: Any = None

    def done(self) -> None:
        """Called by the thread that loads."""
        with self._lock:
            self._finished = True
            self._tell()

    def attach(self, server: Any, app: Any) -> None:
        """Called when the server exists."""
        with self._lock:
            self._server, self._app = server, app
            self._tell()

    def _tell(self) -> None:
        if not self._finished or self._server is None:
            return
        if self._models.error is not None:
            self._server.should_exit = True
            return
        for model in self._models:
            self._app.state.service.watch(model)


def require_packages(verb: str = "capsmith serve") -> None:
    """Raises MissingExtraError if a package of the extra is missing, without importing any."""
    for module, package in _PACKAGES.items():
        try:
            found = importlib.util.find_spec(module) is not None
        except ValueError:
            found = False
        if not found:
            raise MissingExtraError(package, "serve", verb)


def _server(models: Models, settings: ServeSettings, make_app: MakeApp | None) -> tuple[Any, Any]:
    import uvicorn

    from capsmith.deploy.serving.protocol import limited

    if make_app is None:
        from capsmith.deploy.serving.app import create_app

        make_app = create_app
    app = make_app(models, settings)

    class Server(uvicorn.Server):
        """Ends by our rules."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            with _signals_handled(self):
                yield

    config = uvicorn.Config(
        app,
        http=limited(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=max(1, round(settings.keep_alive)),
        timeout_graceful_shutdown=round(settings.shutdown_timeout + _ANSWERS),
        h11_max_incomplete_event_size=settings.max_header,
    )
    return Server(config), app


async def _run(
    server: Any, models: Models, settings: ServeSettings, sockets: Sequence[socket.socket], started: Callable[[], None]
) -> None:
    running = asyncio.ensure_future(server.serve(sockets=list(sockets)))
    while not (server.started or running.done()):
        await asyncio.sleep(0.005)
    if server.started:
        started()
    while not (server.should_exit or running.done()):
        await asyncio.wait([running], timeout=0.05)
    await asyncio.wait([running], timeout=settings.shutdown_timeout)
    models.give_up()  # what has not been answered by now is answered by 503
    await running
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(models.close(), _LAST_BATCH)


def _leave(models: Models) -> None:
    """Ends the process at once if native code is still running: Python would let it crash at its end."""
    end = time.monotonic() + _LAST_BATCH
    while models.busy and time.monotonic() < end:
        time.sleep(0.01)
    if models.busy and threading.current_thread() is threading.main_thread():
        with contextlib.suppress(CapsmithError, BrokenPipeError):
            flush()
        os._exit(0)


@contextlib.contextmanager
def _signals_handled(server: Any) -> Iterator[None]:
    """Ends the server at the first signal, and the process at the second Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if server.should_exit and number == signal.SIGINT:
            print_error("interrupted")
            os._exit(128 + number)
        server.should_exit = True

    before = [(number, signal.signal(number, handle)) for number in active_signals()]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
