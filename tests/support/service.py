"""The caption service over a captioner without a network, for tests of the API, the page and the studio.

``python -m tests.support.service [PORT]`` runs it until it is interrupted.
"""

import asyncio
import contextlib
import io
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from capsmith.data.text.plain_settings import text_from
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.plain_settings import changed, settings_from
from capsmith.deploy.serving.app import create_app
from capsmith.deploy.serving.models import Models, served_model
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.models.caption import Caption
from tests.support.exports import TEXT

SIZE, GRID = (8, 8), 9
WORDS = ["a", "grey", "red", "green", "blue", "picture", "photo", "of", "dog", "the"]


class QuickCaptioner:
    """Captions are the strongest colour, such as ``a red picture``. ``gate`` is an event for which each batch waits."""

    domain = None
    image_sizes = [SIZE]
    members = ()

    def __init__(self, attends=True, delay=0.0):
        self.attends, self.delay = attends, delay
        self.config = SimpleNamespace(decoding=settings_from({"type": "beam"}), text=text_from(TEXT))
        self.vocabulary = Vocabulary.build([WORDS])
        self.gate = threading.Event()
        self.gate.set()
        self.started, self.encoded = 0, []

    def chosen(self, decoding, settings):
        return changed(self.config.decoding, decoding, **settings)

    def encode(self, pixels):
        self.started += 1
        assert self.gate.wait(60)
        time.sleep(self.delay)
        self.encoded.append(len(pixels))
        return pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32)

    def caption_features(self, features, decoding):
        found = [_colour(row) for row in features]
        count = decoding.n or 1
        return [
            replace(
                _caption(f"a {name} picture"),
                alternatives=tuple(_caption(f"the {name} picture {n}", n + 2) for n in range(1, count)),
            )
            for name in found
        ]

    def word_details(self, features, captions, attention=False, **_):
        return [self._detailed(caption, attention) for caption in captions]

    def _detailed(self, caption, attention):
        count = len(caption.words)
        maps = None
        if attention and self.attends:
            maps = np.zeros((count, GRID, GRID))
            maps[np.arange(count), np.arange(count) % GRID, np.arange(count) % GRID] = 1
        return replace(caption, probabilities=tuple(0.9 - 0.1 * n for n in range(count)), attention=maps)


def _colour(row):
    return ("red", "green", "blue")[int(np.argmax(row))] if np.ptp(row) > 8 else "grey"


def _caption(text, rank=1):
    return Caption(text, -0.5 * rank, -1.5 * rank, words=tuple(text.split()))


def quick_models(settings=None, *captioners):
    """Returns models called ``quick``, ``quick-2`` …"""
    settings = settings or ServeSettings()
    names = ["quick", *(f"quick-{number}" for number in range(2, 9))]
    return Models.of(
        *(
            served_model(name, one, settings)
            for name, one in zip(names, captioners or (QuickCaptioner(),), strict=False)
        )
    )


def quick_app(settings=None, *captioners, **more):
    """Returns the application over quick captioners; further arguments are those of ``create_app``."""
    settings = settings or ServeSettings()
    return create_app(quick_models(settings, *captioners), settings, **more)


def client_of(app, **more):
    """Returns a client of an application without a server."""
    return TestClient(app, base_url="http://localhost", **more)


def image_bytes(colour=(200, 20, 20), size=(12, 9), form="PNG"):
    """Returns the bytes of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


@contextlib.contextmanager
def served(app, port=0, **more):
    """Runs an application on a port of its own in a thread; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False, **more))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


if __name__ == "__main__":
    with (
        served(quick_app(), int(sys.argv[1]) if len(sys.argv) > 1 else 0) as address,
        contextlib.suppress(KeyboardInterrupt),
    ):
        sys.stderr.write(f"{address}\n")
        while True:
            time.sleep(1)
