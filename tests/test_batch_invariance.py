"""An image's captions do not depend on the batch, its order or its other images, for every search and decoder.

``test_backends`` at the end runs the decoders' part again on torch where it is installed; ``make test-jax`` on JAX.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from capsmith.data.text.vocabulary import END, PAD, START, UNK
from capsmith.decoding.chance import block_size, draw_tokens, draws
from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.namespace import NumpyNamespace
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.search import search
from capsmith.decoding.stepper import DecoderStepper
from capsmith.decoding.wishes import Wishes
from capsmith.models.decoders.config import DECODERS
from tests.support.reference_search import reference_search

V, IMAGES = 9, 7
NUMPY = NumpyNamespace()
SPECIALS = [PAD, UNK, START]


def same(one, other):
    """Asserts equal words, and scores equal to 1e-5."""
    assert [h.tokens for h in one] == [h.tokens for h in other]
    assert [(h.ended, h.drawn) for h in one] == [(h.ended, h.drawn) for h in other]
    for key in ("score", "log_probability"):
        np.testing.assert_allclose([getattr(h, key) for h in one], [getattr(h, key) for h in other], 1e-5, 1e-5)


# --- the search alone, over a table model without rounding ------------------------------------------------------------


class Tables:
    """A second-order model with random tables; the first feature selects the table of an image."""

    def __init__(self, seed=0, sharpness=2.0):
        rng = np.random.default_rng(seed)
        self.table = rng.normal(scale=sharpness, size=(IMAGES, V, V, V)).astype(np.float32)
        self.table[:4, :, :, END] += 3  # captions of some images end early, others late
        self.table[4:, :, :, END] -= 2
        self.table -= np.log(np.exp(self.table).sum(-1, keepdims=True))

    def start(self, features):
        return np.stack([features[:, 0].astype(int), np.full(len(features), PAD)], axis=1)

    def step(self, tokens, parents, state):
        image, before = state[parents].T
        return self.table[image, before, tokens], np.stack([image, tokens], axis=1)


def features(images):
    """Returns the number of each image, followed by other channels."""
    own = np.random.default_rng(1).random((IMAGES, 6), np.float32)
    return np.concatenate([np.array(images, np.float32)[:, None], own[images]], axis=1)


SEARCHES = some.one_of(
    some.builds(GreedyConfig, max_length=some.integers(1, 9), min_length=some.integers(0, 1)),
    some.builds(
        lambda each, groups, **more: BeamConfig(beam_size=each * groups, groups=groups, **more),
        some.integers(1, 4),
        some.integers(1, 3),
        max_length=some.integers(3, 12),
        min_length=some.integers(0, 3),
        length_penalty=some.sampled_from([0.0, 0.7, 1.0, 1.5]),
        no_repeat=some.integers(0, 2),
        diversity=some.sampled_from([0.0, 0.5, 3.0]),
    ),
    some.builds(
        SampleConfig,
        samples=some.integers(1, 4),
        max_length=some.integers(1, 9),
        temperature=some.sampled_from([0.5, 1.0, 2.0]),
        top_k=some.sampled_from([None, 3]),
        top_p=some.sampled_from([None, 0.8]),
        no_repeat=some.integers(0, 2),
        seed=some.integers(0, 2**32 - 1),
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    config=SEARCHES, order=some.lists(some.integers(0, IMAGES - 1), min_size=1, max_size=12), seed=some.integers(0, 3)
)
def test_captions_in_any_batch_equal_those_of_the_image_alone(config, order, seed):
    model = Tables(seed)
    for place, found in enumerate(search(model, features(order), config)):
        assert found == search(model, features(order[place : place + 1]), config)[0]


def by_hand(model, image, config, stops=True):
    """Plain beam search of one image as ``beam`` documents it, or one that continues to the maximum length."""
    live, finished = [((), 0.0)], []
    for length in range(1, config.max_length + 1):
        ways = []
        for words, total in live:
            before, last = (PAD, START, *words)[-2:]
            for word, gained in enumerate(model.table[image, before, last].astype(float)):
                if word not in SPECIALS and not (word == END and length <= config.min_length):
                    ways.append((total + gained, words, word))
        ways.sort(key=lambda way: -way[0])
        for total, words, word in ways[: config.beam_size]:
            if word == END:
                finished.append((total / length**config.length_penalty, words))
        finished = sorted(finished, key=lambda one: -one[0])[: config.beam_size]
        live = [((*words, word), total) for total, words, word in ways if word != END][: config.beam_size]
        ahead = live[0][1] / (length + 1) ** config.length_penalty
        if stops and len(finished) == config.beam_size and finished[-1][0] >= ahead:
            break
    return finished


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("beams", [1, 2, 5])
def test_the_beam_stops_by_the_documented_rule(penalty, beams):
    model = Tables(seed=4)
    config = BeamConfig(beam_size=beams, max_length=12, length_penalty=penalty, min_length=1)
    for image, found in enumerate(search(model, features(range(IMAGES)), config)):
        expected = by_hand(model, image, config)
        ended = [h for h in found if h.ended]
        assert [h.tokens for h in ended] == [words for _, words in expected]
        np.testing.assert_allclose([h.score for h in ended], [score for score, _ in expected], rtol=1e-5)


def test_without_the_stopping_rule_captions_would_change():
    """The control: without its stopping rule an image's captions change, so the tests above can fail."""
    model, config = Tables(seed=4), BeamConfig(beam_size=2, max_length=12, length_penalty=1.5)
    stopped, further = ([by_hand(model, n, config, stops) for n in range(IMAGES)] for stops in (True, False))
    assert sum(one != other for one, other in zip(stopped, further, strict=True)) >= 2


# --- random numbers of samples ----------------------------------------------------------------------------------------


def drawn(given, seed=3):
    return draws(seed, 5, 2, np.asarray(given)).reshape(15, len(given), 2).swapaxes(0, 1)


def test_random_numbers_depend_only_on_the_image():
    grids = np.random.default_rng(0).random((6, 4, 12), np.float32)
    numbers = drawn(grids)
    order = [4, 0, 0, 5]
    np.testing.assert_array_equal(drawn(grids[order]), numbers[order])
    noise = 1 + 1e-6 * np.random.default_rng(1).normal(size=grids.shape)
    np.testing.assert_array_equal(drawn((grids * noise).astype(np.float32)), numbers)
    np.testing.assert_array_equal(drawn(grids.astype(np.float16)), numbers)
    assert len(np.unique(numbers)) == numbers.size  # all images, samples and words have distinct numbers
    assert not (drawn(grids, seed=4) == numbers).any()
    assert numbers.max() < 1 and numbers.min() >= 0


def test_random_numbers_are_uniform_over_images_and_over_samples():
    images = np.random.default_rng(0).random((3000, 20), np.float32)
    numbers = draws(0, 1, 1, images)[0, 0]
    np.testing.assert_allclose(np.quantile(numbers, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03)
    alone = draws(0, 3, 3000, images[:1])
    np.testing.assert_allclose(np.quantile(alone, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03)


@pytest.mark.parametrize("words", [4, 7, 8, 9, 60, 64, 65])
def test_words_are_drawn_with_their_probability(words):
    size = block_size(words)
    assert (size - 1) ** 3 < words <= size**3
    weights = np.random.default_rng(words).exponential(size=words)
    weights[[0, words - 1]] = 0
    chances = np.random.default_rng(1).random((3, 200_000), np.float32)
    found = draw_tokens(NUMPY, np.broadcast_to(weights, (200_000, words)), chances)
    share = np.bincount(found, minlength=words) / 200_000
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.004)
    assert share[0] == share[-1] == 0


def test_extreme_random_numbers_pick_the_first_and_the_last_word():
    weights, last = np.array([[0, 0.0, 1, 3, 2, 0, 1e-30, 0, 0]], np.float32), np.float32(1 - 2**-24)
    assert draw_tokens(NUMPY, weights, np.zeros((3, 1), np.float32)).tolist() == [2]
    assert draw_tokens(NUMPY, weights[:, :6], np.full((3, 1), last)).tolist() == [4]


# --- real decoders, compiled: any backend -----------------------------------------------------------------------------

DECODERS_TRIED = {
    "merge": {},
    "inject": {"mode": "par", "cell": "gru"},
    "attention": {"attention_units": 8},
    "updown": {"attention_units": 8, "heads": 2},
    "aoa": {"attention_units": 8, "input_feeding": False, "tie_embeddings": True},
}
PLAIN = [
    GreedyConfig(max_length=9),
    BeamConfig(beam_size=2, max_length=12, length_penalty=1.5),
    SampleConfig(samples=3, max_length=9, seed=2),
]
OPTIONS = [
    BeamConfig(beam_size=4, groups=2, max_length=12, length_penalty=1.5),
    BeamConfig(beam_size=2, no_repeat=3, max_length=12, length_penalty=1.5),
    SampleConfig(samples=3, max_length=9, top_k=5, top_p=0.9),
]
WISHES = [
    (GreedyConfig(max_length=9), Wishes(V, prefix=(6, 4), exclude=((5,), (8, 8)))),
    (BeamConfig(beam_size=3, max_length=9, no_repeat=3), Wishes(V, prefix=(6,), exclude=((5, 5), (4, 7, 4)))),
    (SampleConfig(samples=3, max_length=9, top_p=0.9), Wishes(V, prefix=(6, 4), exclude=((5,), (8, 8)))),
    (GreedyConfig(max_length=9), Wishes(V, include=(((5,),), ((4, 7),)))),
    (BeamConfig(beam_size=3, max_length=9), Wishes(V, include=(((5,), (8, 4)), ((4, 7),)), exclude=((5, 5),))),
    (BeamConfig(beam_size=2, max_length=9, min_length=4), Wishes(V, prefix=(6,), include=(((5, 5, 8),),))),
]
BATCHES = [[[*range(IMAGES)]], [[5, 2, 6], [0, 4, 1], [3]], [[n, n, 0] for n in range(IMAGES)]]


def decoder(kind):
    """Returns a random decoder with peaked distributions, so that captions differ in length, and images."""
    keras.utils.set_random_seed(5)
    shape = (4, 6) if kind in ("attention", "updown", "aoa") else (6,)
    made = DECODERS.build(DECODERS.settings[kind](units=8, embedding={"size": 8}, **DECODERS_TRIED[kind]), V)
    images = np.random.default_rng(1).normal(size=(IMAGES, *shape)).astype(np.float32)
    made(images, np.ones((IMAGES, 2), np.int32))
    rng = np.random.default_rng(2)
    for weight in made.weights:
        if "float" in str(weight.dtype):
            weight.assign(rng.normal(scale=0.9, size=weight.shape))
    bias = made.bias if made.config.tie_embeddings else made.output_layer.bias
    bias.assign(keras.ops.convert_to_numpy(bias) + 2.5 * (np.arange(V) == END))
    return DecoderStepper(made), images


def check(stepper, images, config, take=lambda images, rows: images[rows], wishes=None):
    """Asserts that every image in every batch has the captions of its own reference search."""
    alone = [reference_search(stepper, take(images, [n]), config, wishes)[0] for n in range(IMAGES)]
    assert len({h.ended for found in alone for h in found}) >= 1
    for batches in BATCHES:
        for rows in batches:
            for n, found in zip(rows, search(stepper, take(images, rows), config, wishes), strict=True):
                same(found, alone[n])


@pytest.mark.jax
@pytest.mark.parametrize("kind", DECODERS_TRIED)
def test_captions_do_not_depend_on_the_batch(kind):
    stepper, images = decoder(kind)
    for config in PLAIN:
        check(stepper, images, config)


@pytest.mark.jax
@pytest.mark.parametrize("kind", ["inject", "aoa"])
def test_captions_of_other_options_do_not_depend_on_the_batch(kind):
    stepper, images = decoder(kind)
    for config in OPTIONS:
        check(stepper, images, config)


@pytest.mark.jax
@pytest.mark.parametrize("kind", ["inject", "aoa"])
def test_captions_with_words_to_include_and_exclude_do_not_depend_on_the_batch(kind):
    stepper, images = decoder(kind)
    for config, wishes in WISHES:
        check(stepper, images, config, wishes=wishes)


@pytest.mark.jax
def test_captions_of_an_ensemble_do_not_depend_on_the_batch():
    from capsmith.models.ensemble import EnsembleStepper

    members, images = zip(*(decoder(kind) for kind in ("merge", "aoa")), strict=True)
    stepper = EnsembleStepper(members, [part.shape[1:] for part in images])

    def take(images, rows):
        return EnsembleFeatures([part[rows] for part in images])

    for config in PLAIN:
        check(stepper, images, config, take)
    config = BeamConfig(beam_size=2, max_length=7, rerank=MbrConfig(samples=3, samples_from="members"))
    alone = [search(stepper, take(images, [n]), config)[0] for n in range(IMAGES)]
    for rows in BATCHES[1]:
        for n, found in zip(rows, search(stepper, take(images, rows), config), strict=True):
            same(found, alone[n])


def test_the_comparison_can_fail():
    """``same`` detects another word, another score and another ``drawn`` flag."""
    stepper, images = decoder("merge")
    (found, *_) = search(stepper, images, PLAIN[1])
    for other in (
        replace(found[0], tokens=(4,)),
        replace(found[0], score=found[0].score + 1e-3),
        replace(found[0], drawn=True),
    ):
        with pytest.raises(AssertionError):
            same(found, [other, *found[1:]])


@pytest.mark.parametrize("backend", ["torch"])
def test_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "depend_on_the_batch", __file__],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:]
