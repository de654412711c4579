"""The losses against sums over pairs that are written out here."""

import math

import numpy as np
import pytest
from keras import ops

from capsmith.models.embedding.losses import hinge, infonce, negatives

# images 0 and 1 are copies; captions 0 and 1 belong to image 0, caption 2 to image 1, caption 3 to image 2
S = np.array([[0.9, 0.5, 0.6, 0.1], [0.2, 0.3, 0.7, 0.4], [0.3, 0.8, 0.0, 0.5]], np.float32)
IMAGE = np.array([0, 0, 1, 2], np.int32)
IMAGE_GROUPS, CAPTION_GROUPS = np.array([7, 7, 2]), np.array([7, 7, 7, 2])
WRONG_IMAGES = {0: [2], 1: [2], 2: [2], 3: [0, 1]}  # of each caption: never a copy of its image
WRONG_CAPTIONS = {0: [3], 1: [3], 2: [0, 1, 2]}  # of each image: never a caption of a copy


def negative():
    return negatives(ops.convert_to_tensor(IMAGE_GROUPS), ops.convert_to_tensor(CAPTION_GROUPS))


@pytest.mark.parametrize("weight", [0.5, 0.8])
def test_infonce(weight):
    expected = []
    for caption, image in enumerate(IMAGE):
        right = math.exp(S[image, caption] * 4)
        images = sum(math.exp(S[n, caption] * 4) for n in WRONG_IMAGES[caption])
        captions = sum(math.exp(S[image, n] * 4) for n in WRONG_CAPTIONS[image])
        expected.append(
            -weight * math.log(right / (right + images)) - (1 - weight) * math.log(right / (right + captions))
        )
    assert float(infonce(S, IMAGE, negative(), 4.0, weight)) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("hardest", [True, False])
def test_hinge(hardest):
    expected = []
    for caption, image in enumerate(IMAGE):
        right = S[image, caption]
        images = [max(0.0, 0.2 + S[n, caption] - right) for n in WRONG_IMAGES[caption]]
        captions = [max(0.0, 0.2 + S[image, n] - right) for n in WRONG_CAPTIONS[image]]
        chosen = (max(images), max(captions)) if hardest else (np.mean(images), np.mean(captions))
        expected.append(0.5 * chosen[0] + 0.5 * chosen[1])
    assert float(hinge(S, IMAGE, negative(), 0.2, hardest)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_batch_of_copies_has_no_loss():
    same = negatives(ops.convert_to_tensor([1, 1, 1]), ops.convert_to_tensor([1, 1, 1, 1]))
    assert float(infonce(S, IMAGE, same, 4.0)) == pytest.approx(0, abs=1e-6)
    assert float(hinge(S, IMAGE, same, 0.2)) == 0
