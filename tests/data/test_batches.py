"""Training batches: every caption once, with its image."""

from collections import Counter

import numpy as np
import pytest

from capsmith.data.batches import Batches, Example
from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import END, PAD, START

IMAGES = 60


class Source(TrainingSource):
    """Features that identify their image."""

    def __init__(self):
        super().__init__(self)

    def rows(self, ids):
        return np.array([int(i) for i in ids])

    def gather(self, rows):
        return np.stack([np.array([row, -row], "float32") for row in rows])


def examples(images=IMAGES, captions=5, seed=0, longest=20):
    """Returns images with unique captions that begin with the number of the image."""
    rng = np.random.default_rng(seed)
    return [
        Example(row, tuple((row + 10, n + 10, *range(30, 30 + rng.integers(1, longest))) for n in range(captions)))
        for row in range(images)
    ]


def read(batches):
    """Returns (feature row, caption) of all rows of an epoch, by batch."""
    found = []
    for index in range(len(batches)):
        inputs, targets = batches[index]
        some = []
        each = len(targets) // len(inputs["features"])
        image = inputs["image"] if "image" in inputs else np.arange(len(targets)) // each
        for tokens, wanted, number in zip(inputs["tokens"], targets, image, strict=True):
            assert (np.flatnonzero(wanted) == np.arange(np.count_nonzero(wanted))).all()  # padding comes last
            words = wanted[wanted != PAD]
            assert (np.flatnonzero(tokens) == np.flatnonzero(wanted)).all()
            if not len(words):
                continue
            assert words[-1] == END
            assert tokens[0] == START
            assert (tokens[1 : len(words)] == words[:-1]).all()
            some.append((int(inputs["features"][number][0]), tuple(int(w) for w in words[:-1])))
        found.append(some)
    return found


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_an_epoch_holds_every_caption_once_with_its_image(together, size):
    given = examples()
    batches = Batches(Source(), given, size, seed=3, group_by_image=together)
    for epoch in (0, 5):
        batches.set_epoch(epoch)
        seen = Counter(pair for some in read(batches) for pair in some)
        assert seen == Counter((example.row, caption) for example in given for caption in example.captions)


def test_images_with_different_numbers_of_captions():
    given = [Example(e.row, e.captions[: 1 + e.row % 5]) for e in examples()]
    batches = Batches(Source(), given, 16, seed=3)
    assert sum(len(some) for some in read(batches)) == sum(len(e.captions) for e in given)
    assert all(0 < len(some) <= 16 for some in read(batches))


def test_order_is_a_function_of_seed_and_epoch_alone():
    def order(seed, epoch, after=()):
        batches = Batches(Source(), examples(), 40, seed)
        for earlier in after:
            batches.set_epoch(earlier)
        batches.set_epoch(epoch)
        return read(batches)

    assert order(1, 3) == order(1, 3, after=(0, 1, 2)) == order(1, 3, after=(7,))
    assert order(1, 3) != order(1, 2)
    assert order(1, 3) != order(2, 3)


def test_grouped_captions_are_in_one_batch():
    for some in read(Batches(Source(), examples(), 40, seed=0)):
        assert all(count == 5 for count in Counter(row for row, _ in some).values())


def test_ungrouped_captions_are_in_several_batches():
    shared = [
        Counter(row for row, _ in some) for some in read(Batches(Source(), examples(), 40, 0, group_by_image=False))
    ]
    assert any(count < 5 for counts in shared for count in counts.values())


def test_an_image_with_more_captions_than_a_batch():
    given = [*examples(9, captions=5), Example(9, tuple((19, n) for n in range(100, 123)))]
    found = read(Batches(Source(), given, 10, seed=0))
    assert all(len(some) <= 10 for some in found)
    assert sorted(c for some in found for row, c in some if row == 9) == sorted(given[-1].captions)
    assert sum(len(some) for some in found) == 45 + 23


@pytest.mark.parametrize("together", [True, False])
def test_little_padding(together):
    """Much less padding than with captions in dataset order."""
    rng = np.random.default_rng(4)  # as with real captions: an image's are of like length
    given = [
        Example(row, tuple((5,) * (base + rng.integers(0, 4)) for _ in range(5)))
        for row, base in enumerate(rng.integers(2, 20, 400))
    ]
    lengths = np.array([len(c) + 1 for e in given for c in e.captions]).reshape(-1, 50)
    unsorted = 1 - lengths.sum() / (lengths.max(axis=1).sum() * 50)
    batches = Batches(Source(), given, 50, seed=0, group_by_image=together)
    tokens = [batches[i][0]["tokens"] for i in range(len(batches))]
    assert batches.padding == pytest.approx(1 - lengths.sum() / sum(t.size for t in tokens))
    assert batches.padding < (0.5 * unsorted if together else 0.4 * unsorted)


@pytest.mark.parametrize("together", [True, False])
def test_few_shapes(together):
    batches = Batches(Source(), examples(400), 50, seed=0, group_by_image=together)
    shapes = {(batches[i][0]["tokens"].shape, batches[i][0]["features"].shape) for i in range(len(batches))}
    assert len(shapes) <= 12
    assert all(tokens[0] == 50 and tokens[1] % 4 == 0 for tokens, _ in shapes)
    assert all(images[0] == 10 if together else images[0] % 8 == 0 for _, images in shapes)


def test_batches_are_not_in_order_of_length():
    batches = Batches(Source(), examples(400), 50, seed=0)
    lengths = [batches[i][1].shape[1] for i in range(len(batches))]
    assert lengths != sorted(lengths)
    assert lengths != sorted(lengths, reverse=True)


def test_padding_images_repeat_those_of_the_batch():
    """An image that fills up a batch must count at most twice in batch norm."""
    inputs, targets = Batches(Source(), examples(5, captions=1), 8, seed=0)[0]
    assert Counter(inputs["features"][:, 0].astype(int).tolist()).most_common()[0][1] == 2
    assert set(inputs["features"][:, 0]) == set(range(5))
    assert (targets.any(axis=1) == (np.arange(8) < 5)).all()


def test_ungrouped_batches_hold_the_features_of_an_image_once():
    inputs, _ = Batches(Source(), examples(16), 80, seed=0, group_by_image=False)[0]
    assert sorted(inputs["features"][:, 0]) == list(range(16))


class Both(Source):
    """Features that identify their image; old images have negative rows."""

    def draw(self, rows, rng):
        return rows


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("share", "count"), [(0.5, 60), (0.25, 20), (0.9, 100)])
def test_a_share_of_each_epoch_is_old(together, share, count):
    new = examples(captions=1)
    old = [Example(-1 - row, ((500 + row, 3),)) for row in range(100)]
    batches = Batches(Both(), new, 16, 0, together, old=old, old_share=share)
    epochs = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        found = [one for batch in read(batches) for one in batch]
        assert sorted(one for one in found if one[0] >= 0) == sorted((e.row, e.captions[0]) for e in new)
        epochs.append(sorted(one for one in found if one[0] < 0))
        assert len(set(epochs[-1])) == len(epochs[-1]) == count
        assert all(words == (499 - row, 3) for row, words in epochs[-1])
        for inputs, targets in (batches[index] for index in range(len(batches))):
            real = targets[:, 0] != PAD
            assert (inputs["old"][real] == (targets[real, 0] >= 500)).all()
    assert epochs[0] == epochs[2] and (epochs[0] != epochs[1] or count == 100)


def test_without_old_images_nothing_changes():
    plain, other = (Batches(Source(), examples(), 40, 0, **more) for more in ({}, {"old": [], "old_share": 0.5}))
    assert read(plain) == read(other) and "old" not in plain[0][0]


# --- the order of earlier versions, which trained runs depend on ------------------------------------------------------


def orders_before(examples, old, old_share, images, captions_per_image, seed, epoch):
    """Returns the (row, captions) of each batch as lists of Python objects computed them until version 23."""

    def split(example):
        captions = example.captions
        starts = range(0, len(captions), captions_per_image)
        return [Example(example.row, captions[first : first + captions_per_image]) for first in starts]

    new, old = ([part for example in group for part in split(example)] for group in (examples, old))
    repeated = min(len(old), round(len(new) * old_share / (1 - old_share)))
    chosen = new
    if repeated:
        places = np.random.default_rng((seed, epoch, 1)).permutation(len(old))[:repeated]
        chosen = [*new, *(old[place] for place in places)]
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(chosen))
    batches = []
    for first in range(0, len(order), 16 * images):
        ranked = sorted(order[first : first + 16 * images], key=lambda index: chosen[index].longest)
        batches += [ranked[start : start + images] for start in range(0, len(ranked), images)]
    order = rng.permutation(len(batches))
    after = rng.integers(2**40)  # what the variants of images are drawn from
    return [[(chosen[i].row, chosen[i].captions) for i in batches[place]] for place in order], after


class Drawing(Source):
    """Notes the state of the random numbers when the variants of images are drawn."""

    def draw(self, rows, rng):
        self.after = rng.integers(2**40)
        return rows


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("size", [3, 40, 160])
def test_batches_and_order_are_those_of_earlier_versions(together, share, size):
    rng = np.random.default_rng(8)
    given = [
        Example(row, tuple(tuple(rng.integers(4, 90_000, rng.integers(1, 30))) for _ in range(rng.integers(1, 9))))
        for row in rng.permutation(700)
    ]
    old = [Example(-1 - row, ((500 + row, 3), (4,))) for row in range(200)] if share else []
    source = Drawing()
    batches = Batches(source, given, size, 11, together, old=old, old_share=share)
    for epoch in (0, 4):
        batches.set_epoch(epoch)
        wanted, after = orders_before(given, old, share, batches.images, batches.captions_per_image, 11, epoch)
        assert source.after == after and len(batches) == len(wanted)
        for index, parts in enumerate(wanted):
            _, targets = batches[index]
            found = [tuple(int(w) for w in row[: np.count_nonzero(row) - 1]) for row in targets if row.any()]
            assert all(row[np.count_nonzero(row) - 1] == END for row in targets if row.any())
            assert found == [tuple(map(int, caption)) for _, captions in parts for caption in captions]
            if together:
                assert batches[index][0]["features"][: len(parts), 0].astype(int).tolist() == [r for r, _ in parts]
