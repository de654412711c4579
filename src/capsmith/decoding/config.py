"""Settings of searches. The code of each search is imported when it is used."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capsmith.core.registry import OneOf, Registry
from capsmith.core.schema import Settings
from capsmith.decoding.rerank.config import RERANKERS, RerankConfig
from capsmith.decoding.rules import (
    MAX_CAPTIONS,
    MAX_LENGTH,
    WORD_LISTS,
    BeamRules,
    GreedyRules,
    SampleRules,
    SearchRules,
)


class DecodingConfig(SearchRules, Settings):
    """Settings shared by all searches."""

    type: str
    """``greedy``, ``beam`` or ``sample``."""
    max_length: int = Field(default=30, ge=1, le=MAX_LENGTH)
    """Longest caption in tokens, without the end token."""
    min_length: int = Field(default=1, ge=0, le=MAX_LENGTH)
    """Shortest caption in tokens; the end token is not allowed earlier."""
    no_repeat: int = Field(default=0, ge=0, le=MAX_LENGTH)
    """No n-gram of this length occurs twice in a caption (3: Paulus et al. 2018); 0 allows all."""
    prefix: str = ""
    """Text with which every caption begins, such as ``a photo of``. Its words must be in the vocabulary; they count for
    the length and the probability."""
    include: tuple[str, ...] = ()
    """Words or phrases that every caption contains; ``dog|puppy`` allows either. Needs ``beam`` or ``greedy``."""
    exclude: tuple[str, ...] = ()
    """Words or phrases that no caption contains. Words outside the vocabulary have no effect."""
    exclude_file: Path | None = None
    """Text file (UTF-8) with more of them, one a line; lines that begin with ``#`` are comments."""
    n: int | None = Field(default=None, ge=1, le=MAX_CAPTIONS)
    """Number of captions to return that differ by more than articles and punctuation, best first. The search is widened
    to 2 n hypotheses or more; there are fewer captions if it finds no more. By default all hypotheses are returned."""
    rerank: Annotated[RerankConfig | None, OneOf(RERANKERS, optional=True)] = None
    """Reranker that reorders the hypotheses of the search; by default they keep the order of the search."""

    @field_validator("prefix", *WORD_LISTS, mode="before")
    @classmethod
    def _prepare_field(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.prepare_field(str(info.field_name), value)

    @field_validator("*")
    @classmethod
    def _check_field(cls, value: Any, info: ValidationInfo) -> Any:
        cls.check_field(str(info.field_name), value)
        return value

    @model_validator(mode="after")
    def _check(self) -> "DecodingConfig":
        self.check()
        return self


DECODINGS = Registry(
    "decoding",
    DecodingConfig,
    retired={"consensus": "consensus is now a reranker: write {type: beam, …, rerank: {type: mbr, …}}"},
)


@DECODINGS.register("capsmith.decoding.sampling:greedy")
class GreedyConfig(GreedyRules, DecodingConfig):
    """The most probable token at every step."""

    type: Literal["greedy"] = "greedy"


@DECODINGS.register("capsmith.decoding.beam:beam")
class BeamConfig(BeamRules, DecodingConfig):
    """Beam search."""

    type: Literal["beam"] = "beam"
    beam_size: int = Field(default=5, ge=1, le=10_000)
    """Number of beams (K), and the maximum number of captions returned."""
    length_penalty: float = Field(default=0.7, ge=0, le=10)
    """The score is the log probability divided by the length to this power; 0 favours short captions."""
    groups: int = Field(default=1, ge=1)
    """Diverse beam search: number of groups of beams. Each group avoids the tokens of the groups before it."""
    diversity: float = Field(default=0.5, ge=0, le=1e6)
    """With several groups: penalty on a token's log probability for each beam of earlier groups that chose the token at
    the same step."""


@DECODINGS.register("capsmith.decoding.sampling:sample")
class SampleConfig(SampleRules, DecodingConfig):
    """Random captions."""

    type: Literal["sample"] = "sample"
    samples: int = Field(default=1, ge=1, le=100_000)
    """Captions for each image."""
    temperature: float = Field(default=1.0, ge=1e-4, le=1e4)
    """Divides the logits: values below 1 give more probable, less varied captions."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from the k most probable tokens; by default from all."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Sample from the smallest set of tokens with this probability (Holtzman et al. 2020); by default from all."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Random seed. An image's samples depend on the seed and its features, never on its batch."""
