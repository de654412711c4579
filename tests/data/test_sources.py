"""Training sources: images with their crops, and words that are exchanged for mirror images."""

from collections import Counter

import numpy as np

from capsmith.data.batches import Batches, Example
from capsmith.data.sources import CroppedSource, RehearsedSource, TrainingSource, flip_ids
from capsmith.data.text.vocabulary import END, SPECIALS, Vocabulary

IDS = [f"{n}.jpg" for n in range(40)]
VOCABULARY = Vocabulary([*SPECIALS, "left", "right", "dog", *(f"w{n}" for n in range(60))])
LEFT, RIGHT, DOG = VOCABULARY.encode(["left", "right", "dog"])


class Source:
    """Features that identify crop and image; each source has its own row order."""

    def __init__(self, view):
        self.view = view
        order = np.random.default_rng(view).permutation(len(IDS))
        self.number = {IDS[n]: row for row, n in enumerate(order)}
        self.order = order

    def rows(self, ids):
        return np.array([self.number[image] for image in ids])

    def gather(self, rows):
        return np.stack([np.array([self.order[row], self.view], "float32") for row in rows])


def viewed(views=3):
    return CroppedSource([Source(view) for view in range(views)], IDS)


def test_every_crop_of_every_image_is_a_row():
    source = viewed()
    rows = np.arange(3 * len(IDS))[::-1]
    found = source.gather(rows)
    np.testing.assert_array_equal(found[:, 0], source.original(rows))
    np.testing.assert_array_equal(found[:, 1] % 2 == 1, source.flipped(rows))
    assert {tuple(row) for row in found} == {(n, view) for n in range(len(IDS)) for view in range(3)}
    np.testing.assert_array_equal(source.rows(["3.jpg", "0.jpg"]), [3, 0])


def test_crops_are_drawn_uniformly():
    source, rows = viewed(), np.arange(len(IDS)).repeat(100)
    drawn = source.draw(rows, np.random.default_rng(0))
    np.testing.assert_array_equal(source.original(drawn), rows)
    counts = Counter((drawn // len(IDS)).tolist())
    assert set(counts) == {0, 1, 2} and min(counts.values()) > 4000 / 3 * 0.9


def test_flip_ids():
    other = flip_ids(VOCABULARY.words, [("left", "right"), ("up", "dog")])
    assert other[LEFT] == RIGHT and other[RIGHT] == LEFT
    rest = np.delete(np.arange(len(VOCABULARY)), [LEFT, RIGHT])
    np.testing.assert_array_equal(other[rest], rest)


def test_batches_exchange_the_words_of_mirror_images():
    """Each caption identifies its image; it holds left for the image itself, and right for a mirror image."""
    examples = [Example(n, ((LEFT, DOG + 1 + n), (DOG + 1 + n, DOG, LEFT))) for n in range(len(IDS))]
    for together in (True, False):
        batches = Batches(viewed(), examples, 12, 1, together, flip_ids(VOCABULARY.words, [("left", "right")]))
        seen = Counter()
        for epoch in range(6):
            batches.set_epoch(epoch)
            for index in range(len(batches)):
                inputs, targets = batches[index]
                each = len(targets) // len(inputs["features"])
                image = inputs["image"] if "image" in inputs else np.arange(len(targets)) // each
                for tokens, wanted, row in zip(inputs["tokens"], targets, image, strict=True):
                    if END not in wanted:
                        continue
                    image, view = inputs["features"][row]
                    words = wanted[: list(wanted).index(END)]
                    assert DOG + 1 + image in words
                    assert (RIGHT in words, LEFT in words) == ((True, False) if view == 1 else (False, True))
                    np.testing.assert_array_equal(tokens[1 : len(words) + 1], words)
                    seen[int(view)] += 1
        assert sum(seen.values()) == 6 * 2 * len(IDS) and min(seen.values()) > 100
        batches.set_epoch(2)
        first = [batches[index][0]["features"] for index in range(len(batches))]
        batches.set_epoch(3)
        batches.set_epoch(2)
        for before, after in zip(first, [batches[i][0]["features"] for i in range(len(batches))], strict=True):
            np.testing.assert_array_equal(before, after)  # a resumed training sees the same views


def test_a_plain_source_has_no_variants():
    store = Source(0)
    source, rng = TrainingSource(store), np.random.default_rng(0)
    rows = source.rows(IDS)
    np.testing.assert_array_equal(rows, store.rows(IDS))
    np.testing.assert_array_equal(source.draw(rows, rng), rows)
    np.testing.assert_array_equal(source.original(rows), rows)
    np.testing.assert_array_equal(source.gather(rows), store.gather(rows))
    assert not source.flips and not source.flipped(rows).any()
    assert rng.random() == np.random.default_rng(0).random()  # nothing was drawn


def test_old_images_have_negative_rows():
    """Each kind of row is read from its own source; only images of the training vary."""

    class Rows(TrainingSource):
        def __init__(self, sign):
            super().__init__(self)
            self.sign = sign

        def rows(self, ids):
            return np.array([int(i) for i in ids])

        def gather(self, rows):
            return np.stack([np.full(3, self.sign * (row + 1)) for row in rows])

    both = RehearsedSource(Rows(1), Rows(-1))
    assert both.rows(["4", "0"]).tolist() == [4, 0] and both.old_rows(["0", "4"]).tolist() == [-1, -5]
    assert both.gather(np.array([-1, 4, -5, 0]))[:, 0].tolist() == [-1, 5, -5, 1]
    assert both.gather(np.array([2]))[:, 0].tolist() == [3] and both.gather(np.array([-3]))[:, 0].tolist() == [-3]
    crops = RehearsedSource(CroppedSource([Rows(1), Rows(10), Rows(100)], ["0", "1"]), Rows(-1))
    drawn = crops.draw(np.array([0, -2, 1] * 50), np.random.default_rng(0))
    assert (drawn[1::3] == -2).all() and len(set(drawn[0::3])) == 3
    assert crops.original(drawn).tolist() == [0, -2, 1] * 50
    assert not crops.flipped(np.array([-1, -6])).any() and crops.flips == crops.own.flips
    assert crops.flipped(np.array([0, 2, 4, -3])).tolist()[:3] == crops.own.flipped(np.array([0, 2, 4])).tolist()
