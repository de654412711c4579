"""Dividing a batch: the parts hold every caption once, with the features of its image."""

import keras
import numpy as np
import pytest

from capsmith.core.devices import parts_of, training_devices


def batch(grouped: bool) -> tuple[dict, np.ndarray]:
    """Five images with two captions each; captions 6 and 7 are padding; every value says where it comes from."""
    captions = np.arange(10)
    image = captions // 2 if grouped else np.array([3, 1, 0, 4, 4, 2, 0, 1, 2, 3])
    targets = np.where((captions == 6) | (captions == 7), 0, captions + 1)[:, None]
    targets = np.concatenate(
        [targets, targets * (captions != 9)[:, None]], axis=1
    )  # caption 9 has one word, others two
    inputs = {"features": np.arange(5)[:, None] * 10.0, "tokens": captions[:, None], "weight": captions * 0.5}
    if grouped:
        inputs["dropout_masks"] = (np.arange(5)[:, None], np.arange(5)[:, None] + 100)
    else:
        inputs["image"] = image
    return inputs, targets


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_hold_every_caption_once(grouped, count):
    inputs, targets = batch(grouped)
    truth = {int(t): (int(i) * 10.0, w) for t, i, w in zip(range(10), _images(inputs), inputs["weight"], strict=True)}
    seen = []
    for part, part_targets, of_words, of_captions in parts_of(inputs, targets, count):
        words = np.count_nonzero(part_targets, axis=1)
        assert of_words == pytest.approx(words.sum() / 15)
        assert of_captions == pytest.approx(np.count_nonzero(words) / 8)
        for token, image, weight in zip(part["tokens"][:, 0], _images(part), part["weight"], strict=True):
            assert truth[int(token)] == (part["features"][image, 0], weight)
            seen.append(int(token))
        if grouped:
            np.testing.assert_array_equal(part["dropout_masks"][0] * 10.0, part["features"])
            np.testing.assert_array_equal(part["dropout_masks"][1] - 100, part["dropout_masks"][0])
    assert len(seen) == len(set(seen)) and set(range(10)) - {6, 7} <= set(seen)


def _images(inputs: dict) -> np.ndarray:
    """Returns the image of each caption, by the contract of ``data.batches``."""
    if "image" in inputs:
        return inputs["image"]
    captions, images = len(inputs["tokens"]), len(inputs["features"])
    return np.arange(captions) // (captions // images)


def test_a_part_without_words_is_left_out():
    inputs, targets = batch(grouped=True)
    parts = parts_of(inputs, targets, 5)
    assert [of_captions for *_, of_captions in parts] == pytest.approx([0.25, 0.25, 0.25, 0.25])
    assert [of_words for *_, of_words, _ in parts] == pytest.approx([4 / 15, 4 / 15, 4 / 15, 3 / 15])


def test_tensors_of_a_teacher_are_divided_too():
    inputs, targets = batch(grouped=False)
    probabilities = np.random.default_rng(0).random((10, 2, 3)).astype("float32")
    inputs["teacher"] = keras.ops.convert_to_tensor(probabilities)
    for part, *_ in parts_of(inputs, targets, 3):
        np.testing.assert_array_equal(part["teacher"], probabilities[part["tokens"][:, 0]])


def test_no_devices_without_distribution():
    assert training_devices("none") == []
