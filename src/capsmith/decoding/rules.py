"""Rules that the settings of a search follow together, and what code reads of them besides their fields.

The classes below have no fields. The pydantic settings (``config``) and the plain ones (``plain_settings``) inherit
them, so both kinds behave alike.
"""

from typing import TYPE_CHECKING, Any

from capsmith.core.setting_errors import check_characters

MAX_LENGTH = 10_000
"""Tokens of a caption: more than any caption needs, but bounds the search time."""
WORD_LISTS = ("include", "exclude")
"""Fields that hold words, and take a single word too."""
MAX_CAPTIONS = 1_000
"""Distinct captions of one image."""
_MAX_TOKENS = 4_000_000  # of all hypotheses of one image
_MAX_WORDS = 100_000  # that captions must contain, or must not contain
_MAX_CHARACTERS = 1_000  # of a prefix, word or phrase


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

    @property
    def requires_embedding(self) -> bool:
        """Whether the reranker reads a joint embedding."""
        return self.rerank is not None and self.rerank.requires_embedding

    @classmethod
    def prepare_field(cls, name: str, value: Any) -> Any:
        """Returns a value before its type is checked: a single word to include or exclude becomes a list of one.

        Raises:
            ValueError: YAML has read a word, such as ``on``, as another value.
        """
        words = value if isinstance(value, list | tuple) else (value,)
        if name in ("prefix", *WORD_LISTS) and any(isinstance(word, bool | int | float) for word in words):
            raise ValueError("write words such as on, no and 2 in quotes: YAML reads them as other values")
        return (value,) if name in WORD_LISTS and isinstance(value, str) else value

    @classmethod
    def check_field(cls, name: str, value: Any) -> None:
        """Checks the words of a field.

        Raises:
            ValueError: There are too many, or one is too long or has a control character.
        """
        if name not in ("prefix", *WORD_LISTS):
            return
        words = (value,) if isinstance(value, str) else value
        if len(words) > _MAX_WORDS:
            raise ValueError(f"{len(words):,} words are more than {_MAX_WORDS:,}")
        for word in words:
            if len(word) > _MAX_CHARACTERS:
                raise ValueError(f"{word[:20]!r}… has {len(word):,} characters, more than {_MAX_CHARACTERS:,}")
            check_characters(word)

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


class GreedyRules(SearchRules):
    """Rules of greedy search."""

    @property
    def rows(self) -> dict[str, int]:
        """With ``n``, the beams of the beam search that replaces it."""
        return {} if self.n in (None, 1) else {"n": 2 * self.n}


class BeamRules(SearchRules):
    """Rules of beam search."""

    @property
    def rows(self) -> dict[str, int]:
        """The beams."""
        return {"beam_size": self.beam_size if self.n in (None, 1) else max(self.beam_size, 2 * self.n)}

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
        return {"samples": self.samples if self.n in (None, 1) else max(self.samples, 2 * self.n)}

    def check(self) -> None:
        """Checks also that no word must be included."""
        super().check()
        if self.include:
            raise ValueError(
                "include needs decoding.type beam or greedy: random samples cannot be made to contain words"
            )


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

    @property
    def requires_embedding(self) -> bool:
        """Whether the reranker reads a joint embedding."""
        return False

    @property
    def requires_caption_vectors(self) -> bool:
        """Whether the reranker searches the training captions in the space of its joint embedding."""
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

    @property
    def requires_embedding(self) -> bool:
        """Only if it counts."""
        return self.embedding_weight > 0 or self.requires_caption_vectors

    @property
    def requires_caption_vectors(self) -> bool:
        """Only if the nearest captions count."""
        return self.caption_weight > 0 and self.caption_neighbours > 0

    def check(self) -> None:
        """Checks that some weight counts, and that the embedding is named if it does."""
        knn = self.neighbours and self.knn_weight
        others = self.utility_weight or self.concept_weight or self.log_prob_weight
        if not (others or knn or self.requires_embedding):
            raise ValueError(
                "all weights are 0: set utility_weight, knn_weight (with neighbours), concept_weight, "
                "embedding_weight, caption_weight (with caption_neighbours) or log_prob_weight"
            )
        if self.requires_embedding and self.embedding is None:
            weight = "embedding_weight" if self.embedding_weight else "caption_weight"
            raise ValueError(f"{weight} needs an embedding: set embedding to the run of one")
