"""Choosing, among many captions of one image, the one on which most agree.

B images · C candidates · V voters.

The likeliest caption is not the one that people's captions resemble most. Here a beam and random samples are pooled,
and each candidate is judged by four things: its mean likeness (CIDEr-D) to the samples, which is minimum Bayes risk
decoding with the samples for a posterior (Kumar and Byrne 2004); its mean likeness to the captions of the training
images that look most alike (Devlin et al. 2015, "Exploring nearest neighbor approaches"); whether it has the words
that the image's features speak of (``capsmith.retrieval.concepts``); and its own probability.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field, model_validator

from capsmith.decoding.beam import beam
from capsmith.decoding.search import DECODINGS, BeamConfig, Hypothesis, SampleConfig, Stepper, sample
from capsmith.metrics.utility import DocumentFrequencies, Sentences, pairwise_utility


@runtime_checkable
class Joint(Protocol):
    """A stepper of several captioners that write together."""

    def members(self, features: Any) -> list[tuple[Stepper, Any]]:
        """Returns each captioner's own stepper, and what it sees of the images."""


@DECODINGS.register("capsmith.decoding.rerank.mbr:candidates")
class ConsensusConfig(BeamConfig):
    """A beam and samples; the caption on which most agree, they and the captions of like training images."""

    type: Literal["consensus"] = "consensus"  # type: ignore[assignment]
    beam_size: int = Field(default=10, ge=1, le=10_000)
    """Beams kept (K): candidates."""
    samples: int = Field(default=60, ge=0, le=10_000)
    """Random captions beside the beam: candidates, and voters; without any the beam votes."""
    drawn_by: Literal["all", "each"] = "all"
    """Who draws them where several captioners write together: all as one, or each alone so many."""
    temperature: float = Field(default=0.8, ge=1e-4, le=1e4)
    """Of the samples: below 1 is safer, above 1 wilder."""
    neighbours: int = Field(default=20, ge=0, le=10_000)
    """Training images whose captions vote."""
    meaning: float = Field(default=0.0, ge=0, le=1e3)
    """What likeness in what people would say counts beside likeness of looks, where neighbours are looked for."""
    nearness: float = Field(default=0.0, ge=0, le=1e3)
    """How much more the captions of more alike images count: exp(``nearness`` · likeness); 0: all alike."""
    agreement: float = Field(default=1.0, ge=0, le=1e6)
    """What the mean likeness to the samples counts."""
    neighbour_agreement: float = Field(default=24.0, ge=0, le=1e6)
    """What the mean likeness to the neighbours' captions counts."""
    content: float = Field(default=0.0, ge=0, le=1e6)
    """What it counts that a caption has the words that the image speaks of."""
    likelihood: float = Field(default=1.0, ge=0, le=1e6)
    """What the log probability over the length, to the power ``length_penalty``, counts."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of the samples."""

    @property
    def rows(self) -> dict[str, int]:
        """The beams and the samples."""
        return {"beam_size": self.beam_size, "samples": self.samples}

    @model_validator(mode="after")
    def _judges(self) -> "ConsensusConfig":
        judged = self.agreement or self.content or self.likelihood or (self.neighbours and self.neighbour_agreement)
        if not judged:
            said = "agreement, neighbour_agreement, content or likelihood"
            raise ValueError(f"nothing is left to choose by: give {said} a weight")
        return self


def candidates(config: ConsensusConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Returns each image's beam, and its samples after it; a caption that was drawn twice stands twice."""
    found = beam(config, stepper, features)
    if not config.samples:
        return found
    shared = ("samples", "temperature", "seed", "max_length", "min_length", "no_repeat")
    drawing = SampleConfig(**{name: getattr(config, name) for name in shared})
    voices = [(stepper, features)]
    if config.drawn_by == "each" and isinstance(stepper, Joint):
        voices = stepper.members(features)
    for number, (one, seen) in enumerate(voices):
        own = drawing.model_copy(update={"seed": config.seed + number})
        found = [[*pool, *drawn] for pool, drawn in zip(found, sample(own, one, seen), strict=True)]
    return found


def choose(
    pool: Sequence[Hypothesis],
    neighbours: Sequence[Sentences],
    likeness: Sequence[float] | np.ndarray,
    config: ConsensusConfig,
    frequencies: DocumentFrequencies,
    fit: Callable[[Sentences], np.ndarray] | None = None,
) -> list[Hypothesis]:
    """Returns one image's different captions, best first, with what each was judged at as its score.

    Args:
        pool: What was found for the image; captions that were cut count only where nothing ended.
        neighbours: For each of the like training images its captions as word ids.
        likeness: How alike each of them is.
        config: The weights.
        frequencies: Of n-grams in the training captions.
        fit: Returns how well captions say what the image speaks of; asked only where ``content`` counts.
    """
    whole = [hypothesis for hypothesis in pool if hypothesis.ended] or list(pool)
    different = list({hypothesis.tokens: hypothesis for hypothesis in whole}.values())
    tokens = [hypothesis.tokens for hypothesis in different]
    voters = [hypothesis.tokens for hypothesis in whole if hypothesis.drawn] or [h.tokens for h in whole]
    total = np.array([h.log_probability / (len(h.tokens) + 1) ** config.length_penalty for h in different])
    total *= config.likelihood
    if config.agreement:
        total += config.agreement * pairwise_utility(tokens, voters, frequencies).mean(axis=1)
    if config.content and fit is not None:
        total += config.content * fit(tokens)
    votes = [caption for group in neighbours for caption in group]
    if config.neighbour_agreement and votes:
        counts = np.repeat(config.nearness * np.asarray(likeness), [len(group) for group in neighbours])
        counts = np.exp(counts - counts.max())
        share = pairwise_utility(tokens, votes, frequencies) @ (counts / counts.sum())
        total += config.neighbour_agreement * share
    order = np.argsort(-total, kind="stable")
    return [replace(different[index], score=float(total[index])) for index in order]
