"""An encoder in NumPy, for tests of extraction in milliseconds; as a script, an extraction that kills itself."""

import os
import signal
import sys
import types
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (16, 12)
_WEIGHTS = np.random.default_rng(1).normal(size=(SIZE[0] * SIZE[1] * 3, 20)).astype(np.float32) / 300


class FakeEncoder:
    """Projects pixels with random weights, and records its calls."""

    image_size = SIZE
    calls: list[int] = []

    def __init__(self, config):
        from capsmith.vision.fingerprint import encoder_fingerprint

        self.fingerprint = encoder_fingerprint(config)
        self.feature_shape = (20,) if config.output == "pooled" else (4, 5)

    def encode(self, pixels):
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (*SIZE, 3)
        type(self).calls.append(len(pixels))
        flat = pixels.reshape(len(pixels), -1).astype(np.float32) - 128
        return (flat @ _WEIGHTS).reshape(len(pixels), *self.feature_shape)


def install(modules=sys.modules):
    """Replaces the module capsmith.vision.encoder."""
    stand_in = types.ModuleType("capsmith.vision.encoder")
    stand_in.build_encoder = FakeEncoder
    modules["capsmith.vision.encoder"] = stand_in


def images_in(folder: Path, count: int = 23) -> list[tuple[str, Path]]:
    """Draws small random images with distinct file sizes."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        path = folder / f"{number:02d}.png"
        if not path.exists():
            Image.fromarray(random.integers(0, 256, (20, 30 + number, 3)).astype(np.uint8)).save(path)
        made.append((path.name, path))
    return made


def _main(images: str, store: str, output: str, moment: str, batch: int) -> None:
    from capsmith.vision import journal
    from capsmith.vision.config import EncoderConfig, FeaturesConfig
    from capsmith.vision.extraction import extract

    install()
    counted = {"append": 0}

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    append = journal.Journal.append

    def dying_append(self, *args):
        counted["append"] += 1
        if counted["append"] == batch:
            if moment == "before the data":
                die()
            if moment == "before the line":
                journal.Journal._write_line = die
            if moment == "within the line":
                journal.Journal._write_line = torn
        append(self, *args)

    def torn(self, value):
        import json

        self._lines.write(json.dumps(value)[:-9].encode())
        self._lines.flush()
        die()

    journal.Journal.append = dying_append
    if moment == "before finishing":
        journal.Journal.finish = die
    if moment == "before the manifest":
        journal.Manifest.write = die
    if moment == "after the manifest":
        journal.Path.unlink = die
    extract(
        images_in(Path(images)),
        EncoderConfig(type="small_cnn", output=output),
        FeaturesConfig(store=Path(store), batch_size=4),
    )


if __name__ == "__main__":
    _main(*sys.argv[1:5], int(sys.argv[5]))
