"""Minimum Bayes risk (MBR) reranking with nearest neighbours.

B images · C candidates · E captions of the evidence set · k neighbours · W words.

The most probable caption is usually not the one most similar to human captions. The candidates are the hypotheses of a
search and random samples. They are ranked by a weighted sum of scores: the expected utility, which is the mean
CIDEr-D against the evidence set of samples (Kumar and Byrne 2004); the mean CIDEr-D against the captions of the
nearest training images (Devlin et al. 2015, "Exploring nearest neighbor approaches for image captioning"); the concept
score, how well a caption covers the words predicted from the image (``retrieval.concepts``); the log probability; and
in a joint embedding (``retrieval.caption_judge``) the cosine of image and caption, and the mean CIDEr-D against the
training captions nearest to the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Judgement:
    """What a joint embedding says of one image.

    Attributes:
        similarity: Compares captions with the image.
        captions: The training captions nearest to it, as token ids.
        cosines: Their cosines.
    """

    similarity: CaptionScore
    captions: Sentences = ()
    cosines: Sequence[float] | np.ndarray = ()


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
        judgements = self._judgements(features, context)
        return [
            choose(
                pool,
                [index.captions[image] for image in nearest],
                similarity,
                config,
                index.frequencies,
                partial(index.concepts.score, prediction),
                judgement,
            )
            for pool, nearest, similarity, prediction, judgement in zip(
                candidates, *neighbours, predictions, judgements, strict=True
            )
        ]

    def _judgements(self, features: np.ndarray, context: RerankContext) -> "Sequence[Judgement | None]":
        """Returns what the joint embedding says of each image; None if it is not used."""
        config = self.config
        if not config.requires_embedding or config.embedding is None:
            return [None] * len(features)
        judge, index = context.caption_judge(config.embedding), context.caption_index
        images = judge.images(features)
        if not config.requires_caption_vectors:
            return [Judgement(partial(judge.similarity, image)) for image in images]
        captions = [caption for group in index.captions for caption in group]
        sizes = [len(group) for group in index.captions]
        itself = index.identical(features) if config.skip_identical else [None] * len(images)
        judgements = []
        for image, same in zip(images, itself, strict=True):
            ignored = None if same is None else np.repeat(same, sizes)
            rows, cosines = judge.nearest_captions(image, config.caption_neighbours, ignored)
            judgements.append(Judgement(partial(judge.similarity, image), [captions[row] for row in rows], cosines))
        return judgements


def choose(
    candidates: Sequence[Hypothesis],
    neighbours: Sequence[Sentences],
    similarity: Sequence[float] | np.ndarray,
    config: "MbrConfig",
    frequencies: DocumentFrequencies,
    concept_score: CaptionScore | None = None,
    judgement: Judgement | None = None,
) -> list[Hypothesis]:
    """Returns the distinct candidates of one image, best first, with their new scores.

    Args:
        candidates: All hypotheses; truncated ones are used only if none has ended.
        neighbours: The captions of each of the k nearest training images, as token ids.
        similarity: Similarity of each of them (k,).
        config: The weights.
        frequencies: Document frequencies of n-grams in the training captions.
        concept_score: Scores captions against the words predicted from the image; used if ``concept_weight`` is set.
        judgement: What a joint embedding says of the image; used if ``embedding_weight`` or ``caption_weight`` is set.
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
    if judgement is not None and config.embedding_weight:
        total += config.embedding_weight * judgement.similarity(tokens)
    if judgement is not None and config.caption_weight and judgement.captions:
        weights = softmax(judgement.cosines, config.caption_temperature)
        total += config.caption_weight * (pairwise_utility(tokens, judgement.captions, frequencies) @ weights)
    references = [caption for captions in neighbours for caption in captions]
    if config.knn_weight and references:
        each = np.repeat(np.asarray(similarity), [len(captions) for captions in neighbours])
        weights = softmax(each, config.knn_temperature)
        total += config.knn_weight * (pairwise_utility(tokens, references, frequencies) @ weights)
    order = np.argsort(-total, kind="stable")
    return [replace(distinct[index], score=float(total[index])) for index in order]


def softmax(similarity: Sequence[float] | np.ndarray, temperature: float | None) -> np.ndarray:
    """Returns weights of sum 1 from similarities, all equal without a temperature."""
    logits = np.asarray(similarity) * (0 if temperature is None else 1 / temperature)
    weights = np.exp(logits - logits.max())
    normalised: np.ndarray = weights / weights.sum()
    return normalised
