"""A caption does not depend on what it was batched with: real models, batches of 2 to 16, mixed settings."""

import asyncio
import random

import numpy as np
import pytest
from PIL import Image

from capsmith.core.starter import has_starter, starter_folder
from capsmith.deploy.serving.batch_work import BatchWork, Wanted
from capsmith.deploy.serving.batcher import Batcher
from capsmith.deploy.serving.loading import prepare
from capsmith.deploy.serving.models import NamedPath
from capsmith.deploy.serving.settings import ServeSettings
from tests.support import toy

SEARCHES = [{}, {"search": "greedy"}, {"search": "sample", "seed": 3}, {"search": "beam", "beam_size": 4, "n": 3}]
COUNT = 16


@pytest.fixture(scope="module", params=["starter", "run"])
def served(request, tmp_path_factory):
    """A model that is served: the export that comes with capsmith, or a toy run in Keras."""
    if request.param == "starter" and not has_starter():
        pytest.skip("this installation has no starter")
    path = starter_folder() if request.param == "starter" else request.getfixturevalue("tiny_run").run
    model = prepare(NamedPath("m", path), ServeSettings())()
    yield model
    asyncio.run(model.batcher.close())


@pytest.fixture(scope="module")
def images(served):
    """Drawn shapes, and smooth noise."""
    rng = np.random.default_rng(0)
    drawn = [toy.image(colour, shape) for colour in toy.COLOURS for shape in toy.SHAPES]
    noise = [Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)) for _ in range(COUNT - len(drawn))]
    ((height, width),) = served.image_sizes
    return [[np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))] for image in (*drawn, *noise)]


@pytest.fixture(scope="module")
def alone(served, images):
    """For each search, the caption of each image in a batch of its own, straight from the captioner."""
    captioner, expected = served.captioner, []
    for options in SEARCHES:
        decoding = served.decoding(options)
        for (pixels,) in images:
            features = captioner.encode(pixels[None])
            expected.append(captioner.word_details(features, captioner.caption_features(features, decoding))[0])
    return [expected[COUNT * place : COUNT * (place + 1)] for place in range(len(SEARCHES))]


def require_same(found, expected):
    assert (found.words, found.text) == (expected.words, expected.text)
    assert [one.words for one in found.alternatives] == [one.words for one in expected.alternatives]
    for one, other in zip((found, *found.alternatives), (expected, *expected.alternatives), strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
        assert one.score == pytest.approx(other.score, abs=1e-4)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 8, 16])
def test_a_caption_is_that_of_the_image_alone_in_every_batch(served, images, alone, size):
    work = BatchWork(served.captioner, padded=served.kind == "run")
    chosen = random.Random(size).sample(range(COUNT), size)
    for options, expected in zip(SEARCHES, alone, strict=True):
        rows = work.encode([images[place] for place in chosen])
        captions = work.search(rows, [Wanted(served.decoding(options))] * size)
        for place, caption in zip(chosen, captions, strict=True):
            require_same(caption, expected[place])


def test_requests_with_different_settings_at_once_get_their_own_captions(served, images, alone):
    order = [(place, search) for place in range(COUNT) for search in range(len(SEARCHES))]
    random.Random(1).shuffle(order)

    async def one(batcher, place, search):
        (caption,) = await batcher.caption([images[place]], served.decoding(SEARCHES[search]))
        require_same(caption, alone[search][place])
        return caption

    async def main():
        sizes = []
        served.batcher.observe = lambda stage, images, seconds: sizes.append(images)
        served.batcher.max_queue = len(order)
        found = await asyncio.gather(*(one(served.batcher, place, search) for place, search in order))
        return found, sizes

    found, sizes = asyncio.run(main())
    assert len({caption.text for caption in found}) > 1
    assert max(sizes) > (3 if served.kind == "export" else 1)  # larger ones are compiled when there is less to do


def test_distances_from_the_training_images_do_not_depend_on_the_batch(served, images):
    if served.captioner.domain is None:
        pytest.skip("this model has no summary of its training images")
    work = BatchWork(served.captioner, padded=served.kind == "run")
    wanted = Wanted(served.decoding({"search": "greedy"}), details=False)
    together = work.search(work.encode(images[:6]), [wanted] * 6)
    for caption, image in zip(together, images, strict=False):
        (own,) = work.search(work.encode([image]), [wanted])
        assert caption.domain.distance == pytest.approx(own.domain.distance, rel=1e-4)


def test_the_probabilities_of_the_words_make_the_log_probability(served, images):
    """An independent check: without the end of the caption, they multiply to at least its probability."""
    work = BatchWork(served.captioner, padded=served.kind == "run")
    for caption in work.search(work.encode(images[:3]), [Wanted(served.decoding({"search": "greedy"}))] * 3):
        assert len(caption.probabilities) == len(caption.words)
        assert np.log(caption.probabilities).sum() >= caption.log_probability - 1e-3


def test_attention_maps_are_those_of_the_image_alone(served, images):
    if not served.attends:
        pytest.skip("this model has no attention")
    work = BatchWork(served.captioner, padded=served.kind == "run")
    decoding = served.decoding({"search": "greedy"})
    mixed = [Wanted(decoding, attention=place % 2 == 0) for place in range(5)]
    together = work.search(work.encode(images[:5]), mixed)
    for place, caption in enumerate(together):
        (own,) = work.search(work.encode([images[place]]), [mixed[place]])
        assert (caption.attention is None) == (place % 2 == 1)
        if caption.attention is not None:
            np.testing.assert_allclose(caption.attention, own.attention, atol=1e-5)
            np.testing.assert_allclose(caption.attention.sum(axis=(1, 2)), 1, atol=1e-3)


def test_a_batcher_of_a_closed_loop_can_be_used_by_another(served, images):
    """Tests of the app and reloads run several event loops after one another."""
    batcher = Batcher(served.captioner, keras=served.kind == "run")
    decoding = served.decoding({"search": "greedy"})
    texts = [asyncio.run(batcher.caption(images[:1], decoding))[0].text for _ in range(2)]
    asyncio.run(batcher.close())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("options", [*SEARCHES, {"search": "beam", "beam_size": 5, "exclude": ["a"], "n": 2}])
def test_probabilities_that_the_search_recorded_are_those_that_are_computed_again(served, images, options, monkeypatch):
    if served.kind == "run":
        pytest.skip("a compiled search is not recorded")
    work = BatchWork(served.captioner)
    decoding = served.decoding(options)
    rows = work.encode(images[:7])
    features = served.captioner.encode(np.stack([pixels for (pixels,) in images[:7]]))
    again = served.captioner.word_details(features, served.captioner.caption_features(features, decoding))
    monkeypatch.setattr(type(served.captioner), "word_details", None)
    for caption, own in zip(work.search(rows, [Wanted(decoding)] * 7), again, strict=True):
        assert caption.words == own.words
        np.testing.assert_allclose(caption.probabilities, own.probabilities, atol=1e-5)


def test_what_was_not_recorded_is_computed_again(served, images):
    """The last word of a caption that was cut off was chosen, but never read by the decoder."""
    work = BatchWork(served.captioner, padded=served.kind == "run")
    decoding = served.decoding({"max_length": 2, "min_length": 2})
    captions = work.search(work.encode(images[:3]), [Wanted(decoding)] * 3)
    assert (
        [len(caption.probabilities) for caption in captions] == [len(caption.words) for caption in captions] == [2] * 3
    )
