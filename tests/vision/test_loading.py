"""The threaded image loader."""

import threading

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.vision import loading
from capsmith.vision.cached_crops import crop_of
from capsmith.vision.images import load_image
from capsmith.vision.loading import load_images
from tests.support.fake_encoder import SIZE, images_in


def test_images_come_in_order_with_bounded_prefetch(tmp_path, monkeypatch):
    images = images_in(tmp_path / "p")
    decoded = []

    def counted(path, *args, **kwargs):
        decoded.append(path)
        return load_image(path, *args, **kwargs)

    monkeypatch.setattr(loading, "load_image", counted)
    stream = load_images(images, SIZE, workers=2, prefetch=5)
    order = [next(stream)[0]]
    assert len(decoded) <= 6
    order += [key for key, _ in stream]
    assert order == [key for key, _ in images]


def test_pixels_are_those_of_load_image(tmp_path):
    images = images_in(tmp_path / "p", 5)
    for crop in (None, lambda key: crop_of(key, 1)):
        for (key, path), (found, pixels) in zip(images, load_images(images, SIZE, 2, crop=crop), strict=True):
            assert found == key
            np.testing.assert_array_equal(pixels, load_image(path, SIZE, crop=None if crop is None else crop(key)))


def test_an_unreadable_image_yields_its_error(tmp_path):
    images = images_in(tmp_path / "p", 3)
    images[1][1].write_bytes(b"broken")
    kinds = [type(pixels) for _, pixels in load_images(images, SIZE, 2)]
    assert kinds == [np.ndarray, ImageError, np.ndarray]


def test_no_thread_is_left_after_an_early_exit(tmp_path):
    results = load_images(images_in(tmp_path / "p"), SIZE, 2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
