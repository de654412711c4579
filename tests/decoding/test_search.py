"""Search over a made-up model whose sentences can all be written down."""

import itertools

import numpy as np
import pytest

from capsmith.data.text.vocabulary import END, PAD, START, UNK
from capsmith.decoding.search import BeamConfig, GreedyConfig, SampleConfig, search

A, B, C = 4, 5, 6
V = 7


class Table:
    """A model of order two with random tables, one an image; its state is the image and the word before."""

    def __init__(self, images, seed=0, sharpness=1.0):
        self.table = np.random.default_rng(seed).normal(scale=sharpness, size=(images, V, V, V)).astype(np.float32)
        self.table -= np.log(np.exp(self.table).sum(-1, keepdims=True))

    def start(self, features):
        count = len(features)
        return np.stack([np.arange(count), np.full(count, PAD)], axis=1)

    def step(self, tokens, parents, state):
        image, before = state[parents].T
        return self.table[image, before, tokens], np.stack([image, tokens], axis=1)

    def log_probability(self, image, words, ended=True):
        before, word, total = PAD, START, 0.0
        for following in [*words, *([END] if ended else [])]:
            total += float(self.table[image, before, word, following])
            before, word = word, following
        return total


def features(images):
    return np.zeros((images, 1), np.float32)


def sentences(longest):
    """All sentences that end before they are cut, and their lengths up to ``longest`` - 1 words."""
    for length in range(longest):
        yield from itertools.product((A, B, C), repeat=length)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5])
@pytest.mark.parametrize("min_length", [0, 2])
def test_wide_beam_equals_enumeration(penalty, min_length):
    model, longest, images = Table(3), 5, 3
    config = BeamConfig(beam_size=400, max_length=longest, length_penalty=penalty, min_length=min_length)
    for image, found in enumerate(search(model, features(images), config)):
        expected = {
            words: model.log_probability(image, words) / (len(words) + 1) ** penalty
            for words in sentences(longest)
            if len(words) >= min_length
        }
        ended = [h for h in found if h.ended]
        assert {h.tokens for h in ended} == set(expected)
        assert [h.tokens for h in ended] == sorted(expected, key=expected.get, reverse=True)
        np.testing.assert_allclose([h.score for h in ended], sorted(expected.values(), reverse=True), rtol=1e-5)


def repeats(words, size):
    runs = [words[i : i + size] for i in range(len(words) - size + 1)]
    return len(runs) != len(set(runs))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_words_comes_twice(size):
    """A beam wide enough finds exactly the sentences without a repetition; greedy says none either."""
    model, longest = Table(2, seed=7), 5
    config = BeamConfig(beam_size=400, max_length=longest, min_length=0, no_repeat=size)
    for found in search(model, features(2), config):
        expected = {words for words in sentences(longest) if not repeats(words, size)}
        assert {h.tokens for h in found if h.ended} == expected
    greedy = [h[0].tokens for h in search(model, features(2), GreedyConfig(max_length=12, no_repeat=size))]
    assert not any(repeats(words, size) for words in greedy)
    drawn = search(model, features(2), SampleConfig(samples=40, max_length=12, no_repeat=size))
    assert not any(repeats(h.tokens, size) for found in drawn for h in found)
    free = search(model, features(2), SampleConfig(samples=40, max_length=12))
    assert any(repeats(h.tokens, size) for found in free for h in found)


def test_beam_without_penalty_stops_early_and_still_finds_the_best():
    """With no length penalty a score only falls: once K are finished and better, nothing can overtake them."""
    model = Table(4, seed=5, sharpness=2.0)
    wide = search(model, features(4), BeamConfig(beam_size=400, max_length=6, length_penalty=0.0))
    for size in (27, 81):
        narrow = search(model, features(4), BeamConfig(beam_size=size, max_length=6, length_penalty=0.0))
        assert [found[0].tokens for found in narrow] == [found[0].tokens for found in wide]


def test_beam_of_one_is_greedy():
    model = Table(50, seed=1)
    greedy = search(model, features(50), GreedyConfig(max_length=8))
    narrow = search(model, features(50), BeamConfig(beam_size=1, max_length=8, length_penalty=0.0))
    assert [h[0].tokens for h in greedy] == [h[0].tokens for h in narrow]
    assert [h[0].ended for h in greedy] == [h[0].ended for h in narrow]
    np.testing.assert_allclose(
        [h[0].log_probability for h in greedy], [h[0].log_probability for h in narrow], rtol=1e-5
    )


def test_greedy_takes_the_likeliest_word():
    model = Table(20, seed=2)
    for image, (found,) in enumerate(search(model, features(20), GreedyConfig(max_length=6, min_length=1))):
        before, word, words = PAD, START, []
        while len(words) < 6:
            scores = model.table[image, before, word].copy()
            scores[[PAD, UNK, START]] = -np.inf
            if not words:
                scores[END] = -np.inf
            before, word = word, int(scores.argmax())
            if word == END:
                break
            words.append(word)
        assert found.tokens == tuple(words)
        assert found.ended == (word == END)
        np.testing.assert_allclose(found.log_probability, model.log_probability(image, words, found.ended), rtol=1e-5)


def test_wider_beams_never_score_less_than_greedy_here():
    model = Table(200, seed=3)
    kinds = (GreedyConfig(max_length=12), BeamConfig(beam_size=3, max_length=12, length_penalty=0.0))
    greedy, beam = (np.mean([h[0].log_probability for h in search(model, features(200), kind)]) for kind in kinds)
    assert beam > greedy


@pytest.mark.parametrize(
    "config", [GreedyConfig(max_length=7), BeamConfig(beam_size=3, max_length=7), SampleConfig(max_length=7)]
)
def test_a_model_that_never_ends_still_gives_a_caption(config):
    model = Table(3)
    model.table[..., END] = -np.inf
    for found in search(model, features(3), config):
        assert len(found[0].tokens) == 7
        assert not found[0].ended


@pytest.mark.parametrize("config", [GreedyConfig(), BeamConfig(beam_size=4), SampleConfig(samples=3)])
def test_specials_are_never_emitted(config):
    model = Table(10, seed=4)
    model.table[..., [PAD, UNK, START]] += 50
    for found in search(model, features(10), config):
        for hypothesis in found:
            assert not {PAD, UNK, START, END} & set(hypothesis.tokens)
            assert len(hypothesis.tokens) >= 1


def test_beams_are_different_and_sorted():
    for found in search(Table(5, seed=6), features(5), BeamConfig(beam_size=5, max_length=10)):
        assert len(found) == 5
        assert len({h.tokens for h in found}) == 5
        ended = [h.score for h in found if h.ended]
        assert ended == sorted(ended, reverse=True)
        assert [h.ended for h in found] == sorted((h.ended for h in found), reverse=True)


def test_images_do_not_disturb_each_other():
    model = Table(6, seed=7)
    together = search(model, features(6), BeamConfig(beam_size=3, max_length=9))

    class One(Table):
        def __init__(self, image):
            self.table = model.table[image : image + 1]

    for image in range(6):
        assert search(One(image), features(1), BeamConfig(beam_size=3, max_length=9))[0] == together[image]


def test_sampling_follows_the_distribution():
    model = Table(1, seed=8)
    drawn = search(model, features(1), SampleConfig(samples=40_000, max_length=2, min_length=1, seed=1))[0]
    allowed = np.exp(model.table[0, PAD, START, [A, B, C]])
    first = np.array([np.mean([h.tokens[0] == word for h in drawn]) for word in (A, B, C)])
    np.testing.assert_allclose(first, allowed / allowed.sum(), atol=0.01)


@pytest.mark.parametrize("limit", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_narrow_sampling_is_greedy(limit):
    model = Table(30, seed=9)
    greedy = search(model, features(30), GreedyConfig(max_length=6))
    sampled = search(model, features(30), SampleConfig(max_length=6, **limit))
    assert [h[0].tokens for h in greedy] == [h[0].tokens for h in sampled]


def test_top_p_keeps_the_fewest_words_that_hold_the_share():
    model = Table(1)
    model.table[0, PAD, START] = -np.inf
    model.table[0, PAD, START, [A, B, C]] = np.log([0.5, 0.3, 0.2])
    for top_p, kept in ((0.5, {A}), (0.51, {A, B}), (0.8, {A, B}), (0.81, {A, B, C})):
        drawn = search(model, features(1), SampleConfig(samples=2000, max_length=1, top_p=top_p))[0]
        assert {h.tokens[0] for h in drawn} == kept


def test_groups_without_diversity_are_one_narrow_beam():
    model = Table(4, seed=8)
    narrow = search(model, features(4), BeamConfig(beam_size=3, max_length=8))
    grouped = search(model, features(4), BeamConfig(beam_size=9, groups=3, diversity=0, max_length=8))
    assert [[h.tokens for h in found] for found in grouped] == [[h.tokens for h in found] for found in narrow]


@pytest.mark.parametrize("diversity", [0.3, 1.0, 50.0])
def test_groups_of_one_are_greedy_with_a_handicap_for_words_used(diversity):
    """Diverse beam search written out: at every step each group takes the best word, those used before penalised."""
    model, longest, groups = Table(3, seed=9), 6, 3
    config = BeamConfig(beam_size=groups, groups=groups, diversity=diversity, max_length=longest, min_length=longest)
    for image, found in enumerate(search(model, features(3), config)):
        paths = [[] for _ in range(groups)]
        for _ in range(longest):
            used = []
            for path in paths:
                before, word = ([PAD, START, *path])[-2:]
                scores = {w: model.table[image, before, word, w] - diversity * used.count(w) for w in (A, B, C)}
                path.append(max(scores, key=scores.get))
                used.append(path[-1])
        assert {h.tokens for h in found} == {tuple(path) for path in paths}
        for h in found:
            assert h.log_probability == pytest.approx(model.log_probability(image, h.tokens, ended=False), rel=1e-4)


def test_groups_say_other_things():
    model = Table(20, seed=10)
    plain = search(model, features(20), BeamConfig(beam_size=6, max_length=6))
    diverse = search(model, features(20), BeamConfig(beam_size=6, groups=3, diversity=2.0, max_length=6))
    first = [np.mean([len({h.tokens[:1] for h in found}) for found in some]) for some in (plain, diverse)]
    assert first[1] > first[0]
    assert all(found[0].score >= other.score for found in diverse for other in found if other.ended)
