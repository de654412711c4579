"""Variants of images, compared with the expected geometry."""

import numpy as np
import pytest

from capsmith.data.batches import Batches, Example
from capsmith.data.sources import AugmentedSource, flip_ids
from capsmith.vision.augment import AugmentConfig, augment

NOTHING = {"crop": 1.0, "rotate": 0.0, "colour": 0.0}
RAMP = np.stack([np.tile(np.linspace(0, 250, 60), (40, 1))] * 3, axis=-1).astype(np.uint8)


def variant(pixels, seed=0, mirrored=False, **how):
    return augment(pixels, AugmentConfig(**{**NOTHING, **how}), np.random.default_rng(seed), mirrored)


def test_disabled_augmentation_changes_nothing():
    np.testing.assert_array_equal(variant(RAMP), RAMP)
    np.testing.assert_array_equal(variant(RAMP, mirrored=True), RAMP[:, ::-1])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mirrored", [False, True])
def test_no_corner_is_ever_empty(seed, mirrored):
    """Turned by up to 45 degrees and cropped at any place, a white image is white everywhere."""
    white = np.full((48, 80, 3), 255, np.uint8)
    assert variant(white, seed, mirrored, rotate=45.0, crop=0.6).min() == 255


@pytest.mark.parametrize("seed", range(8))
def test_a_crop_keeps_the_minimum_side(seed):
    """The brightness range from left to right equals the crop's width, at least three quarters of the image."""
    seen = variant(RAMP, seed, crop=0.75)
    rise = float(seen[20, -1, 0]) - float(seen[20, 0, 0])
    assert 0.74 * 250 < rise * 60 / 59 * 59 / 60 + 250 / 59 <= 252
    assert (np.diff(seen[20, :, 0].astype(int)) >= 0).all()


def test_rotation_has_the_configured_range():
    """Over many draws a vertical edge leans to both sides, never beyond the configured angle."""
    edge = np.zeros((64, 64, 3), np.uint8)
    edge[:, 32:] = 255
    leans = []
    for seed in range(30):
        seen = variant(edge, seed, rotate=20.0)[..., 0] > 127
        top, bottom = seen[16].argmax(), seen[47].argmax()
        leans.append(np.degrees(np.arctan2(float(top) - bottom, 31)))
    assert min(leans) < -10 and max(leans) > 10 and max(map(abs, leans)) < 23


def test_colour_varies_within_the_configured_range():
    grey = np.full((8, 8, 3), 100, np.uint8)
    means = [variant(grey, seed, colour=0.3).mean() for seed in range(60)]
    assert 69 <= min(means) < 80 and 120 < max(means) <= 131


class Still:
    """Pixels of three images: each rises from left to right."""

    def rows(self, ids):
        return np.array([int(image) for image in ids])

    def gather(self, rows):
        return np.stack([RAMP] * len(rows))


def test_mirrored_variants_are_reported():
    """Every epoch draws new variants; within an epoch a row is constant; mirrored flags match the images."""
    source = AugmentedSource(Still(), ["0", "1", "2"], AugmentConfig())
    rng = np.random.default_rng(0)
    rows = source.draw(source.rows(["0", "1", "2"] * 40), rng)
    assert len(set(rows.tolist())) == 120 and set(source.original(rows).tolist()) == {0, 1, 2}
    pixels = source.gather(rows)
    falling = pixels[:, 20, 0, 0].astype(int) > pixels[:, 20, -1, 0]
    np.testing.assert_array_equal(falling, source.flipped(rows))
    assert 40 < falling.sum() < 80
    np.testing.assert_array_equal(source.gather(rows[5:6])[0], pixels[5])
    words = ["<pad>", "<unk>", "<start>", "<end>", "left", "right"]
    examples = [Example(row, ((4,),)) for row in range(3)]
    batches = Batches(source, examples, 3, 1, True, flip_ids(words, [("left", "right")]))
    said = set()
    for epoch in range(6):
        batches.set_epoch(epoch)
        inputs, targets = batches[0]
        turned = inputs["features"][:, 20, 0, 0].astype(int) > inputs["features"][:, 20, -1, 0]
        np.testing.assert_array_equal(targets[:, 0] == 5, turned)
        said |= set(targets[:, 0].tolist())
    assert said == {4, 5}


def test_without_mirroring_none_is_mirrored():
    source = AugmentedSource(Still(), ["0"], AugmentConfig(mirror=False))
    rows = source.draw(source.rows(["0"] * 50), np.random.default_rng(0))
    assert not source.flipped(rows).any()
