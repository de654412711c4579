"""Folders of small images, and projects over them, for the tests of the studio."""

import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.deploy.folder.selection import Selection, select
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.studio.app import studio_app
from capsmith.deploy.studio.project import project_folder
from capsmith.deploy.studio.records import Proposal, StudioImage
from capsmith.deploy.studio.store import Store
from capsmith.deploy.studio.studio import Studio

NAMES = ("a.png", "b.png", "c.png", "sub/d.png")


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (12, 8)) -> Path:
    """Writes an image, width × height, that differs from those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    os.utime(path, ns=(1_700_000_000_000_000_000 + seed, 1_700_000_000_000_000_000 + seed))
    return path


def photos(folder: Path, names=NAMES) -> Path:
    for seed, name in enumerate(names):
        write_image(folder / name, seed)
    return folder


def listing(folder: Path) -> Selection:
    return select([folder]).rooted()


def opened(folder: Path, project: Path | None = None) -> Store:
    """Opens the project of a folder and takes over its listing."""
    store = Store.open(project_folder(folder, project), folder)
    store.sync(listing(folder).items)
    return store


def proposal(image: StudioImage, caption: str = "a dog runs", **more) -> Proposal:
    return Proposal(
        image.id, image.stamp, caption, **{"model": "one", "per_word": -1.0, "log_probability": -3.0, **more}
    )


def propose(store: Store, id: int, caption: str = "a dog runs", **more) -> StudioImage:
    store.propose([proposal(store.image(id), caption, **more)])
    return store.image(id)


def studio_of(folder: Path, *captioners, project: Path | None = None, **more):
    """Returns a studio over quick captioners, whose project is open."""
    from tests.support.service import quick_models

    store = opened(folder, project)
    return Studio(store, quick_models(None, *captioners), fingerprint="one", **more)


def client_of_studio(studio, settings=None):
    """Returns a client of a studio; as a context manager it captions in the background."""
    from tests.support.service import client_of

    return client_of(studio_app(studio, settings or ServeSettings()))


def wait_until(condition, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
