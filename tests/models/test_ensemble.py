"""Captions of several decoders, compared with their own probabilities word by word."""

import numpy as np
import pytest

from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.config import BeamConfig, GreedyConfig, SampleConfig
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.search import search
from capsmith.models.ensemble import EnsembleStepper
from tests.decoding.test_stepper import P, decoder
from tests.support.hypotheses import assert_same as same
from tests.support.reference_search import reference_search

KINDS = ("merge", "aoa", "inject")  # with different state lengths and feature shapes


def joined(*kinds):
    members, parts = zip(*(decoder(kind) for kind in kinds), strict=True)
    return EnsembleStepper(members, [part.shape[1:] for part in parts]), members, EnsembleFeatures(parts)


def by_hand(members, views, image, words):
    """Returns the log of the mean of the members' probabilities, each computed alone, one word at a time."""
    states = [member.start(part[image : image + 1]) for member, part in zip(members, views.parts, strict=True)]
    total, before = 0.0, START
    for word in words:
        probabilities = []
        for index, member in enumerate(members):
            log_probs, states[index] = member.step(np.int32([before]), np.int32([0]), states[index])
            probabilities.append(np.exp(log_probs[0, word], dtype=np.float64))
        total, before = total + np.log(np.mean(probabilities)), word
    return total


@pytest.mark.parametrize("config", [BeamConfig(beam_size=4, max_length=6), SampleConfig(samples=3, max_length=6)])
def test_the_next_word_follows_the_mean_probability(config):
    stepper, members, views = joined(*KINDS)
    for image, found in enumerate(search(stepper, views, config)):
        for hypothesis in found:
            words = [*hypothesis.tokens, *([END] if hypothesis.ended else [])]
            expected = by_hand(members, views, image, words)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-3)


def test_compiled_search_equals_single_steps():
    stepper, _, views = joined(*KINDS)
    for config in (BeamConfig(beam_size=4, max_length=6), GreedyConfig(max_length=6)):
        same(search(stepper, views, config), reference_search(stepper, views, config))


def test_every_member_affects_the_captions():
    """A control: without the later members, captions would be those of the first one."""
    config = GreedyConfig(max_length=6)
    stepper, members, views = joined("merge", "aoa")
    alone = search(members[0], views.parts[0], config)
    same(alone, search(*_twice(members[0], views.parts[0]), config))
    together = search(stepper, views, config)
    assert [h[0].log_probability for h in together] != pytest.approx([h[0].log_probability for h in alone], abs=0.05)
    assert len(together) == P


def test_each_member_can_draw_its_own_samples():
    """The beam of the ensemble is followed by each member's samples, as that member would draw them alone."""
    stepper, members, views = joined("merge", "aoa")
    rerank = MbrConfig(samples=3, seed=5, samples_from="members")
    config = BeamConfig(beam_size=2, max_length=6, rerank=rerank)
    pools = search(stepper, views, config)
    beams = search(stepper, views, BeamConfig(beam_size=2, max_length=6))
    apart = [
        search(member, part, SampleConfig(samples=3, max_length=6, temperature=rerank.temperature, seed=5 + number))
        for number, (member, part) in enumerate(zip(members, views.parts, strict=True))
    ]
    assert pools == [[*beam, *one, *two] for beam, one, two in zip(beams, *apart, strict=True)]
    jointly = config.model_copy(update={"rerank": rerank.model_copy(update={"samples_from": "ensemble"})})
    together = search(stepper, views, jointly)
    assert len(together[0]) == 5 and together != pools
    alone = members[0], views.parts[0]
    assert search(*alone, config) == search(*alone, jointly)


def _twice(member, features):
    return EnsembleStepper([member] * 2, [features.shape[1:]] * 2), EnsembleFeatures([features] * 2)
