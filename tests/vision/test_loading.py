"""The threaded loader: order, bounded prefetch, unreadable files and early exit."""

import threading

import numpy as np

from capsmith.core.errors import ImageError
from capsmith.vision import loading
from capsmith.vision.cached_crops import crop_of
from capsmith.vision.images import load_image
from capsmith.vision.loading import load_images
from tests.support.fake_encoder import SIZE, images_in


def test_results_come_in_order_and_equal_those_of_load_image(tmp_path):
    images = images_in(tmp_path)
    crops = [crop_of(image, number % 3) for number, (image, _) in enumerate(images)]
    results = list(load_images([path for _, path in images], SIZE, 3, crops=crops))
    for (_, path), crop, result in zip(images, crops, results, strict=True):
        np.testing.assert_array_equal(result, load_image(path, SIZE, crop=crop))


def test_prefetching_is_bounded(tmp_path, monkeypatch):
    paths = [path for _, path in images_in(tmp_path)]
    started = []
    original = loading._load
    monkeypatch.setattr(loading, "_load", lambda path, *rest: started.append(path) or original(path, *rest))
    results = load_images(paths, SIZE, workers=2, prefetch=5)
    next(results)
    assert len(started) <= 6
    assert len(list(results)) == len(paths) - 1 and sorted(started) == paths


def test_an_unreadable_image_gives_its_error_in_its_place(tmp_path):
    paths = [path for _, path in images_in(tmp_path, 5)]
    paths[2].write_bytes(b"no image")
    results = list(load_images([*paths, tmp_path / "absent.png"], SIZE, 2))
    assert [isinstance(result, ImageError) for result in results] == [False, False, True, False, False, True]
    assert "02.png" in str(results[2]) and "absent.png" in str(results[5])


def test_no_thread_is_left_after_an_early_exit(tmp_path):
    results = load_images([path for _, path in images_in(tmp_path)], SIZE, 2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
