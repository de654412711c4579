"""Minimum Bayes risk (MBR) reranking with nearest neighbours.

B images · C candidates · E captions of the evidence set · k neighbours · W words.

The most probable caption is usually not the one most similar to human captions. The candidates are the hypotheses of a
search and random samples. They are ranked by a weighted sum of five scores: the expected utility, which is the mean
CIDEr-D against the evidence set of samples (Kumar and Byrne 2004); the mean CIDEr-D against the captions of the
nearest training images (Devlin et al. 2015, "Exploring nearest neighbor approaches for image captioning"); the concept
score, how well a caption covers the words predicted from the image (``retrieval.concepts``); the cosine of image and
caption in a joint embedding (``retrieval.caption_judge``); and the log probability.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.decoding.engine import Stepper
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.decoding.rerank.reranker import RerankContext
from capsmith.decoding.sampling import Sampling, sample
from capsmith.decoding.wishes import Wishes
from capsmith.metrics.utility import DocumentFrequencies, Sentences, pairwise_utility

if TYPE_CHECKING:
    from capsmith.decoding.config import DecodingConfig
    from capsmith.decoding.rerank.config import MbrConfig

CaptionScore = Callable[[Sentences], np.ndarray]
"""Returns the score of each of C captions of one image, (C,)."""


class MbrReranker:
    """Ranks candidates by expected utility, neighbours' captions, concepts, a joint embedding and log probability.

    Args:
        config: The weights.
    """

    def __init__(self, config: "MbrConfig") -> None:
        self.config = config

    def candidates(
        self,
        hypotheses: Sequence[list[Hypothesis]],
        stepper: Stepper,
        features: Any,
        search: "DecodingConfig",
        wishes: Wishes | None = None,
    ) -> list[list[Hypothesis]]:
        """Returns the hypotheses of each image, followed by its samples; a caption may occur more than once.

        Samples begin with the prefix of ``wishes`` and contain no excluded words, but may lack included ones.
        """
        config, pools = self.config, list(hypotheses)
        if not config.samples:
            return pools
        sampling = Sampling(
            samples=config.samples,
            temperature=config.temperature,
            max_length=search.max_length,
            min_length=search.min_length,
            no_repeat=search.no_repeat,
        )
        sources = [(stepper, features)]
        if config.samples_from == "members" and hasattr(stepper, "members"):  # several models that write together
            sources = stepper.members(features)
        for number, (source, source_features) in enumerate(sources):
            seeded = replace(sampling, seed=config.seed + number)
            samples = sample(seeded, source, source_features, wishes)
            pools = [[*pool, *drawn] for pool, drawn in zip(pools, samples, strict=True)]
        return pools

    def rerank(
        self, candidates: Sequence[list[Hypothesis]], features: np.ndarray, context: RerankContext
    ) -> list[list[Hypothesis]]:
        """Returns the distinct candidates of each image, best first.

        Args:
            candidates: Hypotheses of B images.
            features: Features (B, D) or (B, L, D) that the caption index was built from.
            context: Provides the caption index, and the joint embedding if ``embedding_weight`` is set.
        """
        config, index = self.config, context.caption_index
        neighbours = index.nearest(features, config.neighbours, config.semantic_weight, config.skip_identical)
        predictions = index.predict_concepts(features)
        similarities = self._similarities(features, context)
        return [
            choose(
                pool,
                [index.captions[image] for image in nearest],
                similarity,
                config,
                index.frequencies,
                partial(index.concepts.score, prediction),
                image_similarity,
            )
            for pool, nearest, similarity, prediction, image_similarity in zip(
                candidates, *neighbours, predictions, similarities, strict=True
            )
        ]

    def _similarities(self, features: np.ndarray, context: RerankContext) -> "Sequence[CaptionScore | None]":
        """Returns for each image what compares captions with it in the joint embedding; None if that is not used."""
        if not self.config.requires_embedding or self.config.embedding is None:
            return [None] * len(features)
        judge = context.caption_judge(self.config.embedding)
        return [partial(judge.similarity, image) for image in judge.images(features)]


def choose(
    candidates: Sequence[Hypothesis],
    neighbours: Sequence[Sentences],
    similarity: Sequence[float] | np.ndarray,
    config: "MbrConfig",
    frequencies: DocumentFrequencies,
    concept_score: CaptionScore | None = None,
    image_similarity: CaptionScore | None = None,
) -> list[Hypothesis]:
    """Returns the distinct candidates of one image, best first, with their new scores.

    Args:
        candidates: All hypotheses; truncated ones are used only if none has ended.
        neighbours: The captions of each of the k nearest training images, as token ids.
        similarity: Similarity of each of them (k,).
        config: The weights.
        frequencies: Document frequencies of n-grams in the training captions.
        concept_score: Scores captions against the words predicted from the image; used if ``concept_weight`` is set.
        image_similarity: Compares captions with the image in a joint embedding; used if ``embedding_weight`` is set.
    """
    complete = [hypothesis for hypothesis in candidates if hypothesis.ended] or list(candidates)
    distinct = list({hypothesis.tokens: hypothesis for hypothesis in complete}.values())
    tokens = [hypothesis.tokens for hypothesis in distinct]
    evidence = [hypothesis.tokens for hypothesis in complete if hypothesis.drawn] or [h.tokens for h in complete]
    total = np.array([h.log_probability / (len(h.tokens) + 1) ** config.length_penalty for h in distinct])
    total *= config.log_prob_weight
    if config.utility_weight:
        total += config.utility_weight * pairwise_utility(tokens, evidence, frequencies).mean(axis=1)
    if config.concept_weight and concept_score is not None:
        total += config.concept_weight * concept_score(tokens)
    if config.embedding_weight and image_similarity is not None:
        total += config.embedding_weight * image_similarity(tokens)
    references = [caption for captions in neighbours for caption in captions]
    if config.knn_weight and references:
        logits = np.asarray(similarity) * (0 if config.knn_temperature is None else 1 / config.knn_temperature)
        logits = np.repeat(logits, [len(captions) for captions in neighbours])
        weights = np.exp(logits - logits.max())
        total += config.knn_weight * (pairwise_utility(tokens, references, frequencies) @ (weights / weights.sum()))
    order = np.argsort(-total, kind="stable")
    return [replace(distinct[index], score=float(total[index])) for index in order]
