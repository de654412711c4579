"""Settings of rerankers, which reorder the hypotheses of any search."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.decoding.rules import MbrRules, RerankRules


class RerankConfig(RerankRules, Settings):
    """Settings shared by all rerankers."""

    type: str
    """``mbr``."""

    @model_validator(mode="after")
    def _check(self) -> "RerankConfig":
        self.check()
        return self


RERANKERS = Registry("reranker", RerankConfig)


@RERANKERS.register("capsmith.decoding.rerank.mbr:MbrReranker")
class MbrConfig(MbrRules, RerankConfig):
    """Minimum Bayes risk decoding: the candidate most similar to samples and to captions of similar training images."""

    type: Literal["mbr"] = "mbr"
    samples: int = Field(default=60, ge=0, le=10_000)
    """Captions sampled for each image. They are candidates and form the evidence set; with 0, the hypotheses of the
    search are the evidence set."""
    samples_from: Literal["ensemble", "members"] = "ensemble"
    """Source of the samples of an ensemble: all members as one model, or each member alone (``samples`` each)."""
    temperature: float = Field(default=0.8, ge=1e-4, le=1e4)
    """Temperature of the samples: lower values give more probable, less varied captions."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the samples."""
    utility_weight: float = Field(default=1.0, ge=0, le=1e6)
    """Weight of the expected utility: the mean CIDEr-D against the evidence set."""
    neighbours: int = Field(default=20, ge=0, le=10_000)
    """Nearest training images whose captions are compared with the candidates (k)."""
    knn_weight: float = Field(default=24.0, ge=0, le=1e6)
    """Weight of the mean CIDEr-D against the captions of the nearest training images."""
    knn_temperature: float | None = Field(default=None, ge=1e-3, le=1e6)
    """Softmax temperature over the similarities of the nearest images: lower values favour the most similar ones.
    By default all have the same weight."""
    semantic_weight: float = Field(default=0.0, ge=0, le=1e3)
    """Weight of semantic similarity relative to visual similarity (weight 1) in the search for nearest images."""
    skip_identical: bool = False
    """Ignore training images that are the image itself (visual cosine above 0.999), and their captions. Set it to
    caption training images, for example to train another model on these captions (``training.teacher_captions``)."""
    concept_weight: float = Field(default=0.0, ge=0, le=1e6)
    """Weight of the concept score: how well a caption covers the words predicted from the image."""
    embedding: Path | None = None
    """Run of a joint embedding over the same encoders (``capsmith train --config flickr8k_embedding.yaml``). The first
    evaluation copies its ``embedding.npz`` into the captioner's run, which then needs no other run."""
    embedding_weight: float = Field(default=0.0, ge=0, le=1e6)
    """Weight of the cosine between the image and the caption in the space of ``embedding``; 0 does not use it. The
    cosines of one image's candidates differ by about 0.1."""
    caption_neighbours: int = Field(default=50, ge=0, le=10_000)
    """Training captions nearest to the image in the space of ``embedding`` that are compared with the candidates."""
    caption_weight: float = Field(default=0.0, ge=0, le=1e6)
    """Weight of the mean CIDEr-D against these captions; 0 does not use them. With a weight, the run also keeps the
    vectors of all training captions (30 MB for 30,000 of 512 dimensions)."""
    caption_temperature: float | None = Field(default=None, ge=1e-3, le=1e6)
    """Softmax temperature over the cosines of these captions: lower values favour the nearest ones. By default all have
    the same weight."""
    log_prob_weight: float = Field(default=1.0, ge=0, le=1e6)
    """Weight of the log probability, divided by the caption's length to the power ``length_penalty``."""
    length_penalty: float = Field(default=0.7, ge=0, le=10)
    """Power of the length in the log probability score; 0 favours short captions."""
