"""What the networks of presets get, against Pillow and NumPy, and against transformers where it is installed."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks import hub_preprocessing as bench
from capsmith.models.external.blip import hide_broken_torchvision

HALF = [0.5, 0.5, 0.5]
OPENAI = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PUBLISHED = {
    "CLIP": ("BICUBIC", 224, OPENAI),
    "ViT": ("BILINEAR", None, (HALF, HALF)),
    "DINOv2": ("BICUBIC", 256, ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
    "SigLIP": ("BICUBIC", None, (HALF, HALF)),
}
"""Filter, shorter side before the centre is cut out (None: stretched), mean and deviation."""


def photograph(width, height):
    """Returns a JPEG with structure at all scales, larger than twice the networks' sizes."""
    rng = np.random.default_rng(width)
    parts = [Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((width, height)) for n in (3, 20, 200)]
    mixed = np.mean([np.asarray(part, float) for part in parts], axis=0)
    file = io.BytesIO()
    Image.fromarray(mixed.astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize("family", PUBLISHED)
def test_pixels_are_those_of_the_published_protocol(family, tmp_path):
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    resample, shorter, (mean, std) = PUBLISHED[family]
    prepare = bench.capsmiths(family, 224, tmp_path)
    for width, height in ((1001, 747), (130, 411)):
        file = photograph(width, height)
        image = Image.open(io.BytesIO(file))
        if shorter is None:
            resized = image.resize((224, 224), Image.Resampling[resample])
        else:
            target = int(shorter * width / min(width, height)), int(shorter * height / min(width, height))
            resized = image.resize(target, Image.Resampling[resample])
            left, top = (resized.width - 224) // 2, (resized.height - 224) // 2
            resized = resized.crop((left, top, left + 224, top + 224))
        expected = (np.asarray(resized, np.float64) / 255 - mean) / std
        np.testing.assert_allclose(prepare(file), expected, atol=1e-5)


def test_pixels_are_those_of_transformers(tmp_path):
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    pytest.importorskip("torch", reason="compares with transformers")
    hide_broken_torchvision()
    pytest.importorskip("transformers", reason="compares with transformers")
    folders = [bench.SHARED / "photos"]
    if not folders[0].is_dir():
        pytest.skip("needs ../shared/photos")
    found = bench.differences(list(bench.photographs(folders, 3)), tmp_path)
    assert {name.split()[0] for name in found} == {"CLIP", "ViT", "DINOv2", "SigLIP", "BLIP"}
    assert max(found.values()) < 1e-5
