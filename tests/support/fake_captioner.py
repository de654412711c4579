"""A fast captioner without a network, for tests of folders: the caption names the colour of the image.

Run as a program, it captions a folder until it is killed:
``python fake_captioner.py FOLDER FORMATS DELAY LOG [--overwrite]`` appends each image that it searches to ``LOG``.
"""

import sys
import time
from pathlib import Path

from PIL import Image

from capsmith.core.interrupts import interrupt
from capsmith.deploy.folder.caption_folder import caption_folder
from capsmith.deploy.folder.destination import destination, with_choices
from capsmith.deploy.folder.pipeline import caption_images
from capsmith.deploy.folder.selection import select
from capsmith.models.caption import Caption


class FakeCaptioner:
    """Captions are the mean colour, such as ``colour 255 0 0``; ``calls`` holds the batch sizes."""

    domain = None
    image_sizes = [(8, 8)]

    def __init__(self, delay=0.0, log=None):
        self.delay, self.log = delay, log
        self.encoded, self.searched = [], []

    def encode(self, pixels):
        time.sleep(self.delay)
        self.encoded.append(len(pixels))
        return pixels.reshape(len(pixels), -1, 3).mean(axis=1).round().astype(int)

    def caption_features(self, features, decoding=None):
        time.sleep(self.delay)
        self.searched.append(len(features))
        texts = [caption_text(row) for row in features]
        if self.log:
            with open(self.log, "a") as file:
                file.write("".join(f"{text}\n" for text in dict.fromkeys(texts)))
        return [Caption(text, -1.0, -1.5, (Caption(f"not {text}", -2.0, -2.5),)) for text in texts]


def caption_text(colour):
    return "colour " + " ".join(str(int(value)) for value in colour)


def colour_of(number):
    return number % 200, (number * 7) % 250, number // 200


def make_images(folder, count, ending=".png"):
    """Makes images of different colours; returns the caption of each by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    captions = {}
    for number in range(count):
        name = f"{number:04}{ending}"
        Image.new("RGB", (12, 9), colour_of(number)).save(folder / name)
        captions[name] = caption_text(colour_of(number))
    return captions


def caption_into(
    paths,
    write,
    output=None,
    captioner=None,
    overwrite=False,
    skip_done=False,
    model="m",
    settings=None,
    in_place=False,
    **more,
):
    """Captions into files as ``capsmith caption`` does; returns the report."""
    captioner = captioner or FakeCaptioner()
    place, selection = destination(write, output, select([Path(path) for path in paths]))
    options = {"batch_size": more.pop("batch_size", 4), "workers": 2}
    return caption_folder(
        lambda todo: caption_images(captioner, todo, **options),
        selection,
        with_choices(place, overwrite, skip_done, in_place),
        model,
        settings or {},
        **more,
    )


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, interrupt)
    folder, formats, delay, log = sys.argv[1:5]
    caption_into([folder], formats, captioner=FakeCaptioner(float(delay), log), overwrite="--overwrite" in sys.argv)
