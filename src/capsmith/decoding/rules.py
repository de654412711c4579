"""Rules that the settings of a search follow together, and what code reads of them besides their fields.

The classes below have no fields. The pydantic settings (``config``) and the plain ones (``plain_settings``) inherit
them, so both kinds behave alike.
"""

from typing import TYPE_CHECKING, Any

MAX_LENGTH = 10_000
"""Tokens of a caption: more than any caption needs, but bounds the search time."""
_MAX_TOKENS = 4_000_000  # of all hypotheses of one image


class SearchRules:
    """Rules of every search."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

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

    def check(self) -> None:
        """Checks that the settings fit together.

        Raises:
            ValueError: They do not.
        """
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        rows = self.all_rows
        if sum(rows.values()) * self.max_length > _MAX_TOKENS:
            captions = " + ".join(f"{name} {count:,}" for name, count in rows.items())
            raise ValueError(
                f"{captions} captions of max_length {self.max_length:,} are more than {_MAX_TOKENS:,} tokens for one "
                "image: lower one of them"
            )


class BeamRules(SearchRules):
    """Rules of beam search."""

    @property
    def rows(self) -> dict[str, int]:
        """The beams."""
        return {"beam_size": self.beam_size}

    def check(self) -> None:
        """Checks also that the beams can be split into groups."""
        super().check()
        if self.beam_size % self.groups:
            raise ValueError(f"beam_size {self.beam_size} cannot be split into {self.groups} groups")


class SampleRules(SearchRules):
    """Rules of sampling."""

    @property
    def rows(self) -> dict[str, int]:
        """The samples."""
        return {"samples": self.samples}


class RerankRules:
    """Rules of every reranker."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def rows(self) -> dict[str, int]:
        """Number of hypotheses of one image that the reranker adds, by the field that sets it."""
        return {}

    @property
    def requires_caption_index(self) -> bool:
        """Whether the reranker reads the captions of the training images."""
        return False

    def check(self) -> None:
        """Raises ValueError if the settings do not fit together."""


class MbrRules(RerankRules):
    """Rules of MBR reranking."""

    @property
    def rows(self) -> dict[str, int]:
        """The samples."""
        return {"samples": self.samples}

    @property
    def requires_caption_index(self) -> bool:
        """CIDEr-D needs the document frequencies of the training captions."""
        return True

    def check(self) -> None:
        """Checks that some weight counts."""
        knn = self.neighbours and self.knn_weight
        if not (self.utility_weight or self.concept_weight or self.log_prob_weight or knn):
            raise ValueError(
                "all weights are 0: set utility_weight, knn_weight (with neighbours), concept_weight or log_prob_weight"
            )
