"""Settings of searches. The code of each search is imported when it is used."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capsmith.core.registry import OneOf, Registry
from capsmith.core.schema import Settings
from capsmith.decoding.rerank.config import RERANKERS, RerankConfig
from capsmith.decoding.words import as_words, checked_words

_MAX_LENGTH = 10_000  # tokens of a caption: more than any caption needs, but bounds the search time
_MAX_TOKENS = 4_000_000  # of all hypotheses of one image
_MAX_CAPTIONS = 1_000  # distinct captions of one image


class DecodingConfig(Settings):
    """Settings shared by all searches."""

    type: str
    """``greedy``, ``beam`` or ``sample``."""
    max_length: int = Field(default=30, ge=1, le=_MAX_LENGTH)
    """Longest caption in tokens, without the end token."""
    min_length: int = Field(default=1, ge=0, le=_MAX_LENGTH)
    """Shortest caption in tokens; the end token is not allowed earlier."""
    no_repeat: int = Field(default=0, ge=0, le=_MAX_LENGTH)
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
    n: int | None = Field(default=None, ge=1, le=_MAX_CAPTIONS)
    """Number of captions to return that differ by more than articles and punctuation, best first. The search is widened
    to 2 n hypotheses or more; there are fewer captions if it finds no more. By default all hypotheses are returned."""
    rerank: Annotated[RerankConfig | None, OneOf(RERANKERS, optional=True)] = None
    """Reranker that reorders the hypotheses of the search; by default they keep the order of the search."""

    @property
    def rows(self) -> dict[str, int]:
        """Number of hypotheses of one image that are searched in parallel, by the field that sets it."""
        return {}

    @property
    def all_rows(self) -> dict[str, int]:
        """``rows`` of the search and of its reranker."""
        added = {} if self.rerank is None else self.rerank.rows
        return self.rows | {f"rerank.{name}": count for name, count in added.items()}

    @property
    def requires_caption_index(self) -> bool:
        """Whether the reranker reads the captions of the training images."""
        return self.rerank is not None and self.rerank.requires_caption_index

    @field_validator("prefix", "include", "exclude", mode="before")
    @classmethod
    def _as_words(cls, value: Any, info: ValidationInfo) -> Any:
        return as_words(value, several=info.field_name != "prefix")

    @field_validator("prefix", "include", "exclude")
    @classmethod
    def _check_words(cls, value: Any) -> Any:
        return checked_words(value)

    @model_validator(mode="after")
    def _check_lengths(self) -> "DecodingConfig":
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        rows = self.all_rows
        if sum(rows.values()) * self.max_length > _MAX_TOKENS:
            captions = " + ".join(f"{name} {count:,}" for name, count in rows.items())
            raise ValueError(
                f"{captions} captions of max_length {self.max_length:,} are more than {_MAX_TOKENS:,} tokens for one "
                "image: lower one of them"
            )
        return self


DECODINGS = Registry(
    "decoding",
    DecodingConfig,
    retired={"consensus": "consensus is now a reranker: write {type: beam, …, rerank: {type: mbr, …}}"},
)


@DECODINGS.register("capsmith.decoding.sampling:greedy")
class GreedyConfig(DecodingConfig):
    """The most probable token at every step."""

    type: Literal["greedy"] = "greedy"

    @property
    def rows(self) -> dict[str, int]:
        """With ``n``, the beams of the beam search that replaces it."""
        return {} if self.n in (None, 1) else {"n": 2 * self.n}


@DECODINGS.register("capsmith.decoding.beam:beam")
class BeamConfig(DecodingConfig):
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

    @property
    def rows(self) -> dict[str, int]:
        """The beams."""
        return {"beam_size": self.beam_size if self.n in (None, 1) else max(self.beam_size, 2 * self.n)}

    @model_validator(mode="after")
    def _check_groups(self) -> "BeamConfig":
        if self.beam_size % self.groups:
            raise ValueError(f"beam_size {self.beam_size} cannot be split into {self.groups} groups")
        return self


@DECODINGS.register("capsmith.decoding.sampling:sample")
class SampleConfig(DecodingConfig):
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

    @property
    def rows(self) -> dict[str, int]:
        """The samples."""
        return {"samples": self.samples if self.n in (None, 1) else max(self.samples, 2 * self.n)}

    @model_validator(mode="after")
    def _check_include(self) -> "SampleConfig":
        if self.include:
            raise ValueError(
                "include needs decoding.type beam or greedy: random samples cannot be made to contain words"
            )
        return self
