"""Prefixes, words to include and to exclude: against an enumeration of all captions of a small model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from capsmith.core.errors import ConfigError
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.search import BeamConfig, GreedyConfig, SampleConfig, search
from capsmith.decoding.wishes import Wishes
from tests.decoding.test_search import Slices
from tests.support.hypotheses import assert_same
from tests.support.reference_search import reference_search
from tests.support.table_model import A, B, C, Table, V, features, sentences
from tests.test_batch_invariance import V as DECODER_V
from tests.test_batch_invariance import decoder

T = 5
WISHES = {
    "prefix": Wishes(V, prefix=(B, A)),
    "excluded word": Wishes(V, exclude=((A,),)),
    "excluded phrase": Wishes(V, exclude=((A, B), (C, C, A))),
    "a word": Wishes(V, include=(((C,),),)),
    "two words": Wishes(V, include=(((C,),), ((A,),))),
    "a word or a phrase": Wishes(V, include=(((C, C), (B, B, A)),)),
    "overlapping phrases": Wishes(V, include=(((A, B),), ((B, A),))),
    "a phrase that begins again": Wishes(V, include=(((A, A, B),),)),
    "all": Wishes(V, prefix=(B,), exclude=((A, A), (B, C)), include=(((C,),), ((A, B), (C, A)))),
}


def possible(tokens, wishes):
    """Returns whether a caption satisfies wishes: a plain search in text."""
    text = "".join(map(str, tokens))  # ids have one digit

    def written(phrase):
        return "".join(map(str, phrase))

    return (
        text.startswith(written(wishes.prefix))
        and not any(written(phrase) in text for phrase in wishes.exclude)
        and all(any(written(phrase) in text for phrase in one) for one in wishes.include)
    )


def best(model, image, wishes, penalty):
    """Returns all captions that satisfy wishes with their scores, best first."""
    found = [
        (model.log_probability(image, words) / (len(words) + 1) ** penalty, words)
        for words in sentences(T)
        if possible(words, wishes)
    ]
    return sorted(found, reverse=True)


@pytest.mark.parametrize("name", WISHES)
def test_a_wide_beam_finds_the_best_captions_of_all(name):
    wishes, model = WISHES[name], Table(3, seed=1, sharpness=2.0)
    for penalty in (0.0, 0.7):
        config = BeamConfig(beam_size=121, max_length=T, length_penalty=penalty, min_length=0)
        for image, found in enumerate(search(model, features(3), config, wishes)):
            expected, ended = best(model, image, wishes, penalty), [one for one in found if one.ended]
            assert expected and [one.tokens for one in ended][:20] == [words for _, words in expected][:20]
            np.testing.assert_allclose([one.score for one in ended][:20], [score for score, _ in expected[:20]], 1e-4)


@pytest.mark.parametrize("name", WISHES)
def test_every_search_equals_the_reference(name):
    wishes, model = WISHES[name], Table(4, seed=2, sharpness=2.0)
    searches = [GreedyConfig(max_length=9), BeamConfig(beam_size=3, max_length=9, no_repeat=3)]
    if name == "all":  # greedy search finds none here, so the search is widened, which the reference is not
        del searches[0]
    if not wishes.include:
        searches += [BeamConfig(beam_size=6, groups=2, max_length=7), SampleConfig(samples=4, max_length=7, top_p=0.8)]
    images = features(4) + np.arange(4)[:, None]
    for config in searches:
        expected = reference_search(Slices(model), images, config, wishes)
        assert_same(search(model, images, config, wishes), expected)


WORDS = some.sampled_from([A, B, C])
PHRASES = some.lists(WORDS, min_size=1, max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    prefix=some.lists(WORDS, max_size=2).map(tuple),
    exclude=some.lists(PHRASES, max_size=2).map(tuple),
    include=some.lists(some.lists(PHRASES, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    beams=some.integers(1, 4),
    groups=some.sampled_from([1, 2]),
    seed=some.integers(0, 5),
)
def test_every_caption_satisfies_every_wish(prefix, exclude, include, beams, groups, seed):
    wishes, model = Wishes(V, prefix, exclude, include), Table(2, seed=seed, sharpness=3.0)
    config = BeamConfig(beam_size=beams * groups, groups=groups, max_length=12)
    try:
        found = search(model, features(2), config, wishes)
    except ConfigError:
        assert exclude  # without words to exclude there is always a caption
        return
    for hypotheses in found:
        for one in hypotheses:
            assert possible(one.tokens, wishes) and wishes.satisfied(one.tokens)
            image = found.index(hypotheses)
            total = model.log_probability(image, one.tokens, one.ended)
            assert one.log_probability == pytest.approx(total, rel=1e-4, abs=1e-4)  # the prefix counts


def test_a_word_that_the_caption_has_anyway_changes_little():
    """Words of the best caption are included: the grid finds a caption at least as good."""
    model, config = Table(6, seed=3, sharpness=2.0), BeamConfig(beam_size=4, max_length=9)
    for image, (first, *_) in enumerate(search(model, features(6), config)):
        wishes = Wishes(V, include=tuple(((token,),) for token in sorted(set(first.tokens))))
        found = search(model, features(6), config, wishes)[image][0]
        assert found.score >= first.score - 1e-5


def test_an_included_word_is_a_whole_word():
    """``C`` is a piece that continues a word: after an included ``A`` it would make another word."""
    model, config = Table(4, seed=1, sharpness=3.0), BeamConfig(beam_size=3, max_length=6)
    wishes = Wishes(V, include=(((A,),),), continuing=frozenset([C]))
    for hypotheses in search(model, features(4), config, wishes):
        assert all(wishes.satisfied(one.tokens) for one in hypotheses)
        assert not any((A, C) == one.tokens[n : n + 2] for one in hypotheses for n in range(6))
    free = search(model, features(4), config, Wishes(V, include=(((A,),),)))
    assert any((A, C) == one.tokens[n : n + 2] for hypotheses in free for one in hypotheses for n in range(6))


def test_n_captions_differ_by_more_than_ignored_words():
    model = Table(4, seed=1, sharpness=1.0)
    wishes = Wishes(V, n=5, ignored=frozenset([A]))
    for config in (
        BeamConfig(beam_size=2, max_length=9, n=5),
        BeamConfig(beam_size=4, groups=2, max_length=9, n=5),
        SampleConfig(max_length=9, n=5),
        GreedyConfig(max_length=9, n=5),
    ):
        for hypotheses in search(model, features(4), config, wishes):
            kept = wishes.distinct(hypotheses)
            assert len(kept) == 5 and len({tuple(t for t in one.tokens if t != A) for one in kept}) == 5


def test_an_image_that_needs_a_wider_search_does_not_change_the_others():
    """Image 0 is certain of a few captions, so its search is widened; image 1 is not."""
    sharp, flat = Table(2, seed=1, sharpness=12.0), Table(2, seed=1, sharpness=0.5)
    sharp.table[1] = flat.table[1]
    config, wishes = BeamConfig(beam_size=2, max_length=5, n=3), Wishes(V, n=3, ignored=frozenset([A, B]))
    both = search(sharp, features(2), config, wishes)
    alone = Table(1)
    alone.table = sharp.table[1:]
    assert_same(both[1:], search(alone, features(1), config, wishes))
    assert len(wishes.distinct(both[1])) == 3


def test_candidates_of_a_reranker_satisfy_the_wishes():
    model = Table(4, seed=1, sharpness=1.0)
    wishes = Wishes(V, prefix=(B,), exclude=((A, A),), include=(((C,),),))
    config = BeamConfig(beam_size=2, max_length=6, rerank=MbrConfig(samples=30))
    for pool in search(model, features(4), config, wishes):
        assert all(possible(one.tokens, wishes) for one in pool) and any(one.drawn for one in pool)


def test_without_a_possible_caption_the_error_names_the_settings():
    wishes = Wishes(V, exclude=((A, C), (B, C), (C, C)), prefix=(A,), include=(((C,),),))
    with pytest.raises(ConfigError, match="include"):
        search(Table(1), features(1), BeamConfig(beam_size=2, max_length=8), wishes)


def test_words_without_their_ids_are_refused():
    with pytest.raises(TypeError, match="resolve"):
        search(Table(1), features(1), GreedyConfig(exclude=["man"]))


def test_other_words_of_the_same_sizes_need_no_compilation():
    stepper, images = decoder("inject")
    config = BeamConfig(beam_size=2, max_length=6)
    for word in (4, 5, 6):
        wishes = Wishes(DECODER_V, prefix=(word,), exclude=((8, 8),), include=(((7,),),))
        for hypotheses in search(stepper, images, config, wishes):
            assert all(wishes.satisfied(one.tokens) for one in hypotheses)
    assert len(stepper._programs) == 1
    (function,) = stepper._programs.values()
    if hasattr(function, "experimental_get_tracing_count"):
        assert function.experimental_get_tracing_count() == 1
