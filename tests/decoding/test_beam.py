"""Beam search over a small table model, compared with enumeration and with a plain implementation."""

import numpy as np
import pytest

from capsmith.data.text.vocabulary import PAD, START
from capsmith.decoding.search import BeamConfig, GreedyConfig, search
from tests.support.table_model import A, B, C, Table, features, sentences


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.5])
@pytest.mark.parametrize("min_length", [0, 2])
def test_a_wide_beam_equals_enumeration(penalty, min_length):
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


def test_a_beam_without_length_penalty_stops_early_and_is_exact():
    """Without a length penalty scores only fall: once K better hypotheses are finished, none can overtake them."""
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


def test_wider_beams_never_score_less_than_greedy():
    model = Table(200, seed=3)
    kinds = (GreedyConfig(max_length=12), BeamConfig(beam_size=3, max_length=12, length_penalty=0.0))
    greedy, beam = (np.mean([h[0].log_probability for h in search(model, features(200), kind)]) for kind in kinds)
    assert beam > greedy


def test_beams_are_different_and_sorted():
    for found in search(Table(5, seed=6), features(5), BeamConfig(beam_size=5, max_length=10)):
        assert len(found) == 5
        assert len({h.tokens for h in found}) == 5
        ended = [h.score for h in found if h.ended]
        assert ended == sorted(ended, reverse=True)
        assert [h.ended for h in found] == sorted((h.ended for h in found), reverse=True)


def test_images_of_a_batch_are_independent():
    model = Table(6, seed=7)
    together = search(model, features(6), BeamConfig(beam_size=3, max_length=9))

    class One(Table):
        def __init__(self, image):
            self.table = model.table[image : image + 1]

    for image in range(6):
        assert search(One(image), features(1), BeamConfig(beam_size=3, max_length=9))[0] == together[image]


def test_groups_without_diversity_equal_one_narrow_beam():
    model = Table(4, seed=8)
    narrow = search(model, features(4), BeamConfig(beam_size=3, max_length=8))
    grouped = search(model, features(4), BeamConfig(beam_size=9, groups=3, diversity=0, max_length=8))
    assert [[h.tokens for h in found] for found in grouped] == [[h.tokens for h in found] for found in narrow]


@pytest.mark.parametrize("diversity", [0.3, 1.0, 50.0])
def test_groups_of_one_are_greedy_with_a_penalty_on_used_words(diversity):
    """Plain diverse beam search: at every step each group takes its best word, with earlier groups' words penalised."""
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


def test_diversity_gives_groups_different_captions():
    model = Table(20, seed=10)
    plain = search(model, features(20), BeamConfig(beam_size=6, max_length=6))
    diverse = search(model, features(20), BeamConfig(beam_size=6, groups=3, diversity=2.0, max_length=6))
    first = [np.mean([len({h.tokens[:1] for h in found}) for found in some]) for some in (plain, diverse)]
    assert first[1] > first[0]
    assert all(found[0].score >= other.score for found in diverse for other in found if other.ended)
