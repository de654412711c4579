"""The joint embedding as a judge of captions, in a world of colours where the right caption is known."""

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.decoding.rerank.mbr import Judgement, choose
from capsmith.metrics.utility import DocumentFrequencies, pairwise_utility
from capsmith.retrieval.caption_judge import CaptionJudge
from capsmith.retrieval.pooled import pool
from tests.support.toy_embedder import COLOURS, ToyEmbedder

WORDS = (*COLOURS, "a", "ball", "thing")
FREQUENCIES = DocumentFrequencies([[(0, 6, 7)]])
RNG = np.random.default_rng(5)
TRUTH = RNG.integers(0, 6, 60)
GRIDS = np.array([COLOURS[WORDS[colour]] for colour in TRUTH])[:, None] / 255 + RNG.normal(scale=0.1, size=(60, 16, 3))


class Pooled(ToyEmbedder):
    """Takes features (N, 3), the mean of 16 cells."""

    def embed_features(self, features):
        assert features.shape[1:] == (3,)
        return super().embed_features(np.repeat(features[:, None], 16, axis=1))


def text_of(caption):
    return " ".join(WORDS[token] for token in caption)


@pytest.fixture
def judge():
    return CaptionJudge(Pooled(), text_of, pooled=True)


def first_choices(weight, judge, grids, log_probabilities):
    """Returns the colour of each image's first caption; the candidates say each of the colours."""
    config = MbrConfig(utility_weight=0, knn_weight=0, length_penalty=0, embedding=".", embedding_weight=weight)
    colours = []
    for image, own in zip(judge.images(grids), log_probabilities, strict=True):
        pool = [Hypothesis((6, colour, 7), float(own[colour]), float(own[colour]), True) for colour in range(6)]
        judgement = Judgement(lambda captions, image=image: judge.similarity(image, captions))
        ranked = choose(pool, [], [], config, FREQUENCIES, None, judgement)
        colours.append(ranked[0].tokens[1])
    return np.array(colours)


def test_the_judge_puts_the_right_caption_first_and_shuffled_images_do_not_help(judge):
    log_probabilities = RNG.normal(scale=0.5, size=(60, 6))
    log_probabilities[np.arange(60), TRUTH] += 0.3  # the captioner alone is right now and then
    alone = (first_choices(0, judge, GRIDS, log_probabilities) == TRUTH).mean()
    judged = (first_choices(3, judge, GRIDS, log_probabilities) == TRUTH).mean()
    shuffled = (first_choices(3, judge, np.roll(GRIDS, 7, axis=0), log_probabilities) == TRUTH).mean()
    assert 0.2 < alone < 0.6 and judged > 0.95 and shuffled < alone


def test_the_score_grows_by_weight_times_cosine(judge):
    image = judge.images(GRIDS[:1])[0]
    cosines = judge.similarity(image, [(6, colour, 7) for colour in range(6)])
    texts = judge.space.embed_texts([f"a {WORDS[colour]} ball" for colour in range(6)])
    np.testing.assert_allclose(cosines, texts @ ToyEmbedder().embed_features(GRIDS[:1].reshape(1, 48))[0], atol=1e-6)
    given = {"utility_weight": 0, "knn_weight": 0, "log_prob_weight": 2, "length_penalty": 0}
    pool = [Hypothesis((6, colour, 7), -colour - 1.0, -colour - 1.0, True) for colour in range(6)]
    config = MbrConfig(**given, embedding=".", embedding_weight=5)
    judgement = Judgement(lambda captions: judge.similarity(image, captions))
    scores = {h.tokens[1]: h.score for h in choose(pool, [], [], config, FREQUENCIES, None, judgement)}
    assert scores == pytest.approx({colour: 5 * cosines[colour] - 2 * (colour + 1) for colour in range(6)})


def test_a_grid_is_pooled_as_the_mean_over_its_regions(judge):
    np.testing.assert_array_equal(judge.images(GRIDS), CaptionJudge(Pooled(), text_of).images(pool(GRIDS)))
    np.testing.assert_allclose(pool(GRIDS), GRIDS.mean(axis=1), rtol=1e-6)


def test_a_vector_does_not_depend_on_the_other_images():
    """The head is a matrix product whose rounding depends on the number of rows, so images are embedded one by one."""

    class Head(ToyEmbedder):
        weights = np.random.default_rng(0).normal(size=(768, 96)).astype(np.float32)

        def embed_features(self, features):
            return features @ self.weights

    judge = CaptionJudge(Head(), text_of)
    features = RNG.normal(size=(33, 768)).astype(np.float32)
    together = judge.images(features)
    for row in range(33):
        np.testing.assert_array_equal(judge.images(features[row : row + 1])[0], together[row])


def test_the_nearest_training_captions_are_found_and_those_of_the_image_itself_can_be_ignored(judge):
    captions = [(6, colour, 7) for colour in (0, 1, 2, 0, 3)]
    judge.vectors = judge.space.embed_texts([text_of(caption) for caption in captions])
    image = judge.images(np.full((1, 16, 3), COLOURS["red"]) / 255)[0]
    rows, cosines = judge.nearest_captions(image, 2)
    assert rows.tolist() == [0, 3] and cosines == pytest.approx([1, 1], abs=1e-3)
    rows, cosines = judge.nearest_captions(image, 9, np.array([True, False, False, False, False]))
    assert rows[0] == 3 and sorted(rows) == [1, 2, 3, 4] and (np.diff(cosines) <= 0).all()
    judge.vectors = None
    with pytest.raises(CheckpointError, match="caption_weight"):
        judge.nearest_captions(image, 2)


def test_candidates_like_the_nearest_captions_come_first():
    pool = [Hypothesis((6, colour, 7, 8), 0.0, 0.0, True) for colour in (1, 0)]
    config = MbrConfig(utility_weight=0, knn_weight=0, log_prob_weight=0, embedding=".", caption_weight=3)
    frequencies = DocumentFrequencies([[(6, colour, 7, 8)] for colour in range(6)])
    judgement = Judgement(lambda captions: np.zeros(len(captions)), [(6, 0, 7, 8), (6, 1, 7, 8)], [0.9, 0.7])
    tied = choose(pool, [], [], config, frequencies, None, judgement)
    assert tied[0].tokens[1] == 1 and tied[0].score == pytest.approx(tied[1].score)
    sharp = choose(pool, [], [], config.model_copy(update={"caption_temperature": 0.1}), frequencies, None, judgement)
    share = 1 / (1 + np.exp(-2))
    utility = pairwise_utility([(6, 0, 7, 8)], judgement.captions, frequencies)[0]
    assert sharp[0].tokens[1] == 0
    assert sharp[0].score == pytest.approx(3 * (share * utility[0] + (1 - share) * utility[1]))


def test_a_weight_needs_an_embedding():
    with pytest.raises(ValueError, match="embedding_weight"):
        MbrConfig(embedding_weight=1)
    assert not MbrConfig(embedding="runs/x").requires_embedding
    only = {"utility_weight": 0, "knn_weight": 0, "log_prob_weight": 0}
    assert MbrConfig(**only, embedding="runs/x", embedding_weight=1).requires_embedding
    with pytest.raises(ValueError, match="embedding_weight"):
        MbrConfig(**only, embedding="runs/x")
    with pytest.raises(ValueError, match="caption_weight"):
        MbrConfig(caption_weight=1)
    assert not MbrConfig(caption_weight=1, caption_neighbours=0).requires_embedding
