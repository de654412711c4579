"""Detection of near-duplicate images."""

import numpy as np
from PIL import Image

from capsmith.vision.images import load_image
from capsmith.vision.near_duplicates import downscale, near_duplicates
from tests.support.scenes import scene


def test_near_duplicates_are_detected(tmp_path):
    """The same scene in other sizes, formats and qualities is detected; other scenes and colours are not."""
    for n in range(12):
        scene(n).save(tmp_path / f"{n}.png")
    scene(3, (192, 128)).save(tmp_path / "larger.jpg", quality=60)
    scene(3, (120, 80)).save(tmp_path / "middle.jpg", quality=80)
    scene(7).convert("L").save(tmp_path / "grey.png")
    for name, colour in (("white", (250, 250, 250)), ("red", (150, 76, 76)), ("grey2", (98, 98, 98))):
        Image.new("RGB", (90, 60), colour).save(tmp_path / f"{name}.png")
    names = [
        *(f"{n}.png" for n in range(12)),
        "larger.jpg",
        "middle.jpg",
        "grey.png",
        "white.png",
        "red.png",
        "grey2.png",
    ]
    found = near_duplicates([downscale(load_image(tmp_path / name, (64, 64))) for name in names])
    assert [[names[place] for place in group] for group in found] == [["3.png", "larger.jpg", "middle.jpg"]]


def test_thousands_of_equal_images_are_one_group():
    copies = [np.zeros((16, 16, 3), np.uint8)] * 5000 + [np.full((16, 16, 3), 90, np.uint8)] * 3
    assert [len(group) for group in near_duplicates(copies)] == [5000, 3]
