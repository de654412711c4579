"""The caption index of a run: nearest neighbours by features, and equality after saving and loading."""

import numpy as np
import pytest

from capsmith.retrieval.caption_index import CaptionIndex

RNG = np.random.default_rng(3)
KINDS = 6
CENTRES = RNG.normal(size=(KINDS, 20)) * 2
CAPTIONS = [[(4 + n % KINDS, 20 + n), (5, 6)][: 1 + n % 2] for n in range(60)]


class Seen:
    """Images of six kinds; one channel is a thousand times larger than the others and carries no information."""

    def __init__(self, regions):
        noise = RNG.normal(size=(60, regions, 20))
        self.features_ = CENTRES[np.arange(60) % KINDS][:, None] + noise * (0.3 * regions**0.5)
        self.features_[..., 7] = RNG.normal(size=(60, regions)) * 1000
        if regions == 1:
            self.features_ = self.features_[:, 0]

    def features(self, ids):
        return self.features_[[int(i) for i in ids]].astype(np.float32)


@pytest.mark.parametrize("regions", [1, 4])
def test_similar_images_are_found(regions):
    seen = Seen(regions)
    ids = [str(n) for n in range(60)]
    index = CaptionIndex.build(seen, ids[:48], CAPTIONS[:48])
    nearest, likeness = index.nearest(seen.features(ids[48:]), 5)
    assert nearest.shape == (12, 5)
    assert (nearest % KINDS == np.arange(48, 60)[:, None] % KINDS).mean() > 0.9
    assert (np.diff(likeness, axis=1) <= 0).all() and likeness.max() <= 1.001
    itself, certain = index.nearest(seen.features(ids[:48]), 1)
    assert (itself[:, 0] == np.arange(48)).mean() > 0.9
    np.testing.assert_allclose(certain, 1, atol=1e-2)
    looks = index.vectors[:, : index.visual_projection.shape[1]].astype(float)
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1, atol=1e-2)


def test_a_loaded_index_equals_the_saved_one(tmp_path):
    seen = Seen(4)
    index = CaptionIndex.build(seen, [str(n) for n in range(60)], CAPTIONS)
    index.save(tmp_path)
    again = CaptionIndex.load(tmp_path)
    assert again.captions == index.captions == tuple(tuple(group) for group in CAPTIONS)
    some = seen.features(["1", "7"])
    np.testing.assert_array_equal(again.nearest(some, 60), index.nearest(some, 60))
    for name in ("tokens", "idf", "encode", "decode"):
        np.testing.assert_array_equal(getattr(again.concepts, name), getattr(index.concepts, name))
    assert again.nearest(some, 100)[0].shape == (2, 60)  # at most all of them
    np.testing.assert_array_equal(again.frequencies.idf, index.frequencies.idf)
    expected = np.log(60 / sum(any(5 in c for c in group) for group in CAPTIONS))
    assert np.isclose(again.frequencies.idf, expected, rtol=1e-12).any()


def test_an_image_of_the_index_can_be_ignored():
    seen = Seen(4)
    ids = [str(n) for n in range(60)]
    index = CaptionIndex.build(seen, ids, CAPTIONS)
    everything, _ = index.nearest(seen.features(ids), 60)
    assert (everything[:, 0] == np.arange(60)).mean() > 0.9
    others, likeness = index.nearest(seen.features(ids), 60, skip_identical=True)
    assert (others[:, :59] != np.arange(60)[:, None]).all() and (others[:, 59] == np.arange(60)).all()
    for row, (before, after) in enumerate(zip(everything, others[:, :59], strict=True)):
        assert [image for image in before if image != row] == list(after)
    assert (likeness[:, 59] == -1).all()
