"""Pixels of blip: equal those of transformers' BlipImageProcessor with Pillow, for real photographs and odd images."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if not (find_spec("transformers") and find_spec("torch")):
    pytest.skip("transformers and torch are not installed: pip install 'capsmith[blip]'", allow_module_level=True)

from capsmith.models.external.blip import hide_broken_torchvision
from capsmith.models.external.blip_folder import BlipFolder, read_blip
from capsmith.vision.images import load_image
from tests.support.toy_blip import make_blip

SHARED = Path(__file__).parents[4] / "shared"
FOLDERS = [SHARED / "photos", SHARED / "flickr8k" / "Images"]
ODD = [(1, 1), (1, 500), (383, 385), (384, 384), (2000, 3), (17, 1201)]
"""Heights and widths."""


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> BlipFolder:
    return read_blip(make_blip(tmp_path_factory.mktemp("blip"), side=384))


@pytest.fixture(scope="module")
def reference():
    hide_broken_torchvision()
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    return lambda image: BlipImageProcessorPil()(image, return_tensors="np")["pixel_values"][0]


def difference(blip: BlipFolder, source: object, expected: np.ndarray) -> float:
    pixels = load_image(source, blip.image_size)
    return float(np.abs(blip.preprocess(pixels[None])[0] - expected).max())


def photographs() -> list[Path]:
    return [path for folder in FOLDERS if folder.is_dir() for path in sorted(folder.glob("*.jpg"))[:12]]


def test_real_photographs(blip, reference):
    photos = photographs()
    if not photos:
        pytest.skip("needs photographs in ../shared")
    assert max(difference(blip, photo, reference(Image.open(photo))) for photo in photos) <= 1e-5


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK"])
def test_odd_sizes_and_modes(blip, reference, shape, mode):
    rng = np.random.default_rng(shape[0] * 7 + shape[1])
    image = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).convert(mode)
    assert difference(blip, image, reference(image.convert("RGB"))) <= 1e-5


def test_transparency_is_composited_on_white(blip, reference):
    """The reference drops the alpha channel, which shows whatever colour transparent pixels happen to have."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (300, 211, 4), dtype=np.uint8), "RGBA")
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert difference(blip, image, reference(white)) <= 1e-5
    opaque = Image.fromarray(np.dstack([np.asarray(image)[..., :3], np.full((300, 211), 255, np.uint8)]), "RGBA")
    assert difference(blip, opaque, reference(opaque)) <= 1e-5


def test_other_means_and_filters_are_obeyed(tmp_path):
    hide_broken_torchvision()
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    settings = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.5], "resample": 2}
    blip = read_blip(make_blip(tmp_path, side=64, **settings))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 131, 3), dtype=np.uint8))
    processor = BlipImageProcessorPil(size={"height": 64, "width": 64}, **settings)
    assert difference(blip, image, processor(image, return_tensors="np")["pixel_values"][0]) <= 1e-5
