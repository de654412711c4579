"""MBR reranking: each score term alone, their weighted sum, and the caption index that it requires."""

from dataclasses import replace

import numpy as np
import pytest

from capsmith import Captioner
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data import read_dataset
from capsmith.decoding.config import BeamConfig, SampleConfig
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.rerank.mbr import choose
from capsmith.decoding.search import search
from capsmith.evaluation.kinds import evaluate
from capsmith.metrics.reward import CiderReward
from capsmith.metrics.utility import DocumentFrequencies
from capsmith.models.run_config import run_config
from capsmith.retrieval.caption_index import CaptionIndex
from tests.support import shapes
from tests.support.table_model import Table, features

RNG = np.random.default_rng(0)
TRAINING = [[tuple(RNG.integers(4, 20, RNG.integers(4, 9)).tolist()) for _ in range(3)] for _ in range(40)]
FREQUENCIES = DocumentFrequencies(TRAINING)
LONER, SHARED, NEAR, LIKE = (4, 5, 6, 7, 8), (10, 11, 12, 13, 14), (10, 11, 12, 13, 15), (9, 11, 12, 13, 14)


def found(*sentences, ended=True):
    return [Hypothesis(tuple(s), -float(i + 1), -float(i + 1), ended) for i, s in enumerate(sentences)]


def weights(**given):
    return MbrConfig(**{"utility_weight": 0, "knn_weight": 0, "log_prob_weight": 0, **given})


def chosen(pool, captions, config, frequencies):
    """Returns the chosen captions with one equally similar neighbour per caption."""
    return choose(pool, [[caption] for caption in captions], [0.0] * len(captions), config, frequencies)


def test_the_pool_alone_chooses_the_consensus():
    ordered = chosen(found(LONER, NEAR, LIKE, SHARED), [], weights(utility_weight=1), FREQUENCIES)
    assert ordered[0].tokens == SHARED and ordered[-1].tokens == LONER and len(ordered) == 4


def test_repeated_samples_count_repeatedly_but_are_one_candidate():
    ordered = chosen(found(SHARED, LIKE, LONER, LONER, LONER, LONER), [], weights(utility_weight=1), FREQUENCIES)
    assert [h.tokens for h in ordered].count(LONER) == 1 and ordered[0].tokens == LONER


def test_only_samples_count_where_there_are_samples():
    """Beam and samples would choose different captions."""
    drawn = [replace(h, drawn=True) for h in found(LONER, LONER, SHARED)]
    pool = [*found(SHARED, NEAR, LIKE), *drawn]
    assert chosen(pool, [], weights(utility_weight=1), FREQUENCIES)[0].tokens == LONER
    assert chosen(pool[:3], [], weights(utility_weight=1), FREQUENCIES)[0].tokens == SHARED


def test_neighbours_alone_choose_the_caption_most_like_theirs():
    ordered = chosen(found(SHARED, NEAR, LONER), [LONER, (4, 5, 6, 9)], weights(knn_weight=1), FREQUENCIES)
    assert ordered[0].tokens == LONER


def test_captions_of_nearer_images_count_more():
    """Two captions at similarity log(3)/2 outweigh three at similarity 0 with temperature 1/2: 6 to 3."""
    pool, neighbours = found(SHARED, LONER), [[SHARED, SHARED], [LONER, LONER, LONER]]
    config = weights(knn_weight=1, knn_temperature=0.5)
    near = choose(pool, neighbours, [np.log(3) / 2, 0.0], config, FREQUENCIES)
    far = choose(pool, neighbours, [0.0, 0.0], config, FREQUENCIES)
    assert near[0].tokens == SHARED and far[0].tokens == LONER
    assert near[0].score == pytest.approx(10 * 6 / 9) and near[1].score == pytest.approx(10 * 3 / 9)
    flat = choose(pool, neighbours, [np.log(3) / 2, 0.0], weights(knn_weight=1, knn_temperature=None), FREQUENCIES)
    assert [h.score for h in flat] == [h.score for h in far]


def test_the_concept_score_alone_chooses_the_best_fit():
    def fit(captions):
        return np.array([float(caption == NEAR) for caption in captions])

    pool = found(SHARED, NEAR, LONER)
    ordered = choose(pool, [], [], weights(concept_weight=2), FREQUENCIES, fit)
    assert ordered[0].tokens == NEAR and [h.score for h in ordered] == [2, 0, 0]
    assert choose(pool, [], [], weights(log_prob_weight=1), FREQUENCIES, fit)[0].tokens == SHARED


def test_log_probability_alone_keeps_the_beams_order():
    config = weights(log_prob_weight=1, length_penalty=0.7)
    pool = found(SHARED, NEAR, LONER)
    ordered = chosen(pool, [LIKE], config, FREQUENCIES)
    assert [h.tokens for h in ordered] == [h.tokens for h in pool]
    assert ordered[1].score == pytest.approx(-2 / 6**0.7)


def test_the_score_is_the_weighted_sum_of_its_four_terms():
    pool, neighbours = found(SHARED, NEAR, SHARED, LONER), [LIKE, NEAR]
    config = weights(utility_weight=0.5, knn_weight=3, concept_weight=5, log_prob_weight=2, length_penalty=0)
    frequencies = dict(enumerate(TRAINING))
    each = [[caption] for caption in neighbours]
    for h in choose(pool, each, [0.0, 0.0], config, FREQUENCIES, lambda captions: np.array([c[0] for c in captions])):
        own = CiderReward({0: [p.tokens for p in pool]}, frequencies, end=None).reward([0], [h.tokens])[0]
        theirs = CiderReward({0: neighbours}, frequencies, end=None).reward([0], [h.tokens])[0]
        assert h.score == pytest.approx(0.5 * own + 3 * theirs + 5 * h.tokens[0] + 2 * h.log_probability)


def test_unfinished_captions_are_not_candidates():
    pool = [*found(LONER), *found(SHARED, ended=False)]
    assert [h.tokens for h in chosen(pool, [SHARED], weights(knn_weight=1), FREQUENCIES)] == [LONER]
    cut = found(SHARED, LONER, ended=False)
    assert len(chosen(cut, [SHARED], weights(knn_weight=1), FREQUENCIES)) == 2


def test_the_pool_contains_beam_and_samples():
    model = Table(3, seed=1)
    rerank = MbrConfig(samples=6, temperature=0.9, seed=2)
    beams = search(model, features(3), BeamConfig(beam_size=4, max_length=5))
    drawn = search(model, features(3), SampleConfig(samples=6, temperature=0.9, max_length=5, seed=2))
    reranked = search(model, features(3), BeamConfig(beam_size=4, max_length=5, rerank=rerank))
    assert reranked == [b + s for b, s in zip(beams, drawn, strict=True)]
    without = BeamConfig(beam_size=4, max_length=5, rerank=MbrConfig(samples=0))
    assert search(model, features(3), without) == beams


def test_all_weights_zero_is_an_error():
    with pytest.raises(ValueError, match="utility_weight"):
        weights()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A copy of a trained run that has no caption index yet."""
    import shutil

    return shutil.copytree(shapes.trained(), tmp_path_factory.mktemp("mbr") / "run")


MBR = ["decoding.rerank.type=mbr", "decoding.rerank.neighbours=3", "decoding.rerank.samples=5"]


def test_a_run_without_a_caption_index_names_the_remedy(run):
    with pytest.raises(CheckpointError, match="caption_index.npz"):
        Captioner.load(run).caption(
            next((shapes.data() / "images").iterdir()), BeamConfig(rerank=MbrConfig(neighbours=3))
        )


def test_evaluation_builds_the_caption_index_and_captioning_uses_it(run):
    evaluate(run, "test", [*MBR, "data.limit=2"])  # a limited evaluation must not leave an index of two images
    first = evaluate(run, "test", MBR)
    assert len(CaptionIndex.load(run).captions) == len(read_dataset(run_config(run).data).split("train"))
    assert evaluate(run, "test", MBR).captions == first.captions
    assert first.scores["cider"].value > 1.5 * first.control["cider"].value
    captioner = Captioner.load(run)
    assert len(captioner.caption_index.captions) == len(captioner.caption_index.vectors)
    image = shapes.data() / "images" / next(iter(first.captions))
    said = captioner.caption(image, BeamConfig(rerank=MbrConfig(neighbours=3, samples=0, utility_weight=0)))
    assert said.words and len(said.alternatives) >= 1 and said.score >= said.alternatives[0].score


def test_reranked_captions_keep_the_words_asked_for(run):
    evaluate(run, "test", MBR)
    captioner = Captioner.load(run)
    image = next((shapes.data() / "images").iterdir())
    (prefix, word, other) = captioner.vocabulary.words[4:7]
    search = BeamConfig(prefix=prefix, include=[word], exclude=[other], n=3, rerank=MbrConfig(samples=20))
    best = captioner.caption(image, search)
    for caption in (best, *best.alternatives):
        assert caption.words[0] == prefix and word in caption.words and other not in caption.words
    assert len(best.alternatives) == 2 and best.score >= best.alternatives[0].score


def test_every_caption_of_an_evaluation_begins_with_the_prefix(run):
    word = Captioner.load(run, encoder=False).vocabulary.words[5]
    result = evaluate(run, "test", [f"decoding.prefix='{word}'", "decoding.min_length=2"])
    assert result.captions and all(one.words[0] == word for one in result.captions.values())


def test_a_caption_index_of_an_earlier_version_names_the_remedy(run, tmp_path):
    evaluate(run, "test", MBR)
    arrays = dict(np.load(run / "caption_index.npz"))
    np.savez(tmp_path / "caption_index.npz", **{k: v for k, v in arrays.items() if not k.startswith("concept_")})
    with pytest.raises(CheckpointError, match="caption_index.npz.*delete it"):
        CaptionIndex.load(tmp_path)


def test_a_damaged_caption_index_is_an_error(run):
    evaluate(run, "test", MBR)
    whole = (run / "caption_index.npz").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"PK" + whole[2:100]):
        (run / "caption_index.npz").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="caption_index.npz"):
            _ = Captioner.load(run).caption_index
    (run / "caption_index.npz").unlink()
    with pytest.raises(ConfigError, match="neighbours"):
        evaluate(run, "test", [*MBR, "decoding.rerank.neighbours=-1"])
