"""The work of a sharded job without a model: the number of bytes of each image, and what workers do wrong."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, ImageError
from capsmith.deploy.batch.inputs import NamedImage
from capsmith.deploy.batch.shards import Shard
from capsmith.deploy.folder.names import printable_name


@dataclass
class ToyWork:
    """Counts bytes.

    Attributes:
        seconds: Time for each block.
        fault: ``load``: the model cannot be loaded; ``block``: a block cannot be computed; ``kill``: each worker dies
            of the block that holds ``image``.
        image: The image that causes it.
        pids: A folder into which workers write their process ids.
    """

    seconds: float = 0.0
    fault: str = ""
    image: str = ""
    pids: str = ""
    title: str = "bytes"
    fingerprint: dict[str, Any] = field(default_factory=lambda: {"model": "toy"})

    def open(self, threads: int) -> "ToyWork":
        """Returns itself."""
        if self.fault == "load":
            raise CheckpointError("toy.onnx is damaged: export it again")
        if self.pids:
            (Path(self.pids) / str(os.getpid())).touch()
        return self

    def __call__(self, images: Iterator[NamedImage]) -> Shard:
        """Returns the number of bytes of each image."""
        sizes, failed = {}, {}
        for image in images:
            if image.name == self.image and self.fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if image.name == self.image and self.fault == "block":
                raise CheckpointError("no space left on the disk")
            try:
                sizes[image.name] = len(image.read())
            except ImageError as error:
                failed[image.name] = str(error)
        time.sleep(self.seconds)
        names = [printable_name(os.fsencode(name)) for name in sizes]
        return Shard({"image": names, "bytes": list(sizes.values())}, failed)


def make_images(folder: Path, count: int) -> dict[str, int]:
    """Writes files that count as images, in two folders; returns their sizes by name."""
    import io

    from PIL import Image

    sizes = {}
    for number in range(count):
        name = f"{'ab'[number % 2]}/{number:03d}.png"
        buffer = io.BytesIO()
        Image.new("RGB", (number + 1, 2), (number, 0, 9)).save(buffer, "PNG")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(buffer.getvalue())
        sizes[name] = len(buffer.getvalue())
    return sizes
