"""The vocabulary of a captioner: its words and their ids."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, DataError
from capsmith.core.files import read_json, write_json
from capsmith.data.text.subwords import SIZE, join_pieces, split_word, train_wordpiece

PAD, UNK, START, END = range(4)
PAD_WORD, UNK_WORD, START_WORD, END_WORD = "<pad>", "<unk>", "<start>", "<end>"
SPECIALS = (PAD_WORD, UNK_WORD, START_WORD, END_WORD)
_FORMAT = 1


class _Counted:
    """Captions that are counted while they are read; they are read once, and not kept.

    Args:
        token_lists: The tokens of each caption.

    Attributes:
        words: How often each token occurs.
        captions: Number of captions.
    """

    def __init__(self, token_lists: Iterable[Sequence[str]]) -> None:
        self._token_lists = token_lists
        self.words: Counter[str] = Counter()
        self.captions = 0

    def __iter__(self) -> Iterator[Sequence[str]]:
        for tokens in self._token_lists:
            self.words.update(tokens)
            self.captions += 1
            yield tokens

    def read(self) -> None:
        """Reads all captions."""
        for _ in self:
            pass


class Vocabulary:
    """Words by id. The first four are padding, unknown, start and end.

    Captions cannot contain the special words: the text ``<start>`` in a caption is encoded as unknown.

    Args:
        words: All words by id, the four special words first.
        counts: How often each occurs as a target in training; None if unknown.
        pieces: The words are subword pieces: ``encode`` splits words into them, ``decode`` joins them.

    Raises:
        ValueError: The special words are missing, a word occurs twice, or the lengths differ.
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int] | None = None, pieces: bool = False) -> None:
        if tuple(words[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"the first words must be {' '.join(SPECIALS)}")
        self.words: tuple[str, ...] = tuple(words)
        self.pieces = pieces
        self._piece_ids: dict[str, list[int]] = {}
        self.counts: tuple[int, ...] = tuple(counts) if counts is not None else (0,) * len(self.words)
        """Frequencies in the train split by id: ``<unk>`` counts dropped words, ``<end>`` captions."""
        if len(self.counts) != len(self.words):
            raise ValueError(f"{len(self.counts)} counts for {len(self.words)} words")
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            repeated = next(word for word, n in Counter(self.words).items() if n > 1)
            raise ValueError(f"the word {repeated!r} occurs twice")
        for special in SPECIALS:
            del self._ids[special]

    @classmethod
    def build(
        cls, token_lists: Iterable[Sequence[str]], min_count: int = 1, max_words: int | None = None
    ) -> "Vocabulary":
        """Collects the words of the train split.

        Args:
            token_lists: The tokens of each caption, without start and end.
            min_count: Words that occur less often become unknown.
            max_words: Maximum number of words, without the special words.

        Returns:
            The words by decreasing count, then alphabetically. The order of the captions does not matter.

        Raises:
            DataError: No word occurs often enough.
        """
        read = _Counted(token_lists)
        read.read()
        counts, captions = read.words, read.captions
        ranked = sorted(
            (word for word, n in counts.items() if n >= min_count and word not in SPECIALS),
            key=lambda word: (-counts[word], word),
        )[:max_words]
        if not ranked:
            raise DataError(
                f"none of the {len(counts)} words in {captions} training captions occurs {min_count} times: "
                "lower text.min_count, or check the captions"
            )
        known = [counts[word] for word in ranked]
        return cls([*SPECIALS, *ranked], [0, counts.total() - sum(known), 0, captions, *known])

    @classmethod
    def of_pieces(cls, token_lists: Iterable[Sequence[str]], size: int = SIZE) -> "Vocabulary":
        """Learns subword pieces from the words of the train split.

        Args:
            token_lists: The words of each caption, without start and end.
            size: Maximum number of pieces.

        Raises:
            MissingExtraError: The package ``tokenizers`` is not installed.
            DataError: There are no words.
        """
        words = _Counted(token_lists)
        pieces = train_wordpiece(words, size, SPECIALS)
        if not pieces:
            raise DataError(f"the {words.captions} training captions have no words: check the captions")
        counted = cls([*SPECIALS, *pieces], pieces=True)._counted(words)
        order = sorted(range(len(SPECIALS), len(counted)), key=lambda n: (-counted.counts[n], counted.words[n]))
        return cls([*SPECIALS, *(counted.words[n] for n in order)], pieces=True)._counted(words)

    def counted(self, token_lists: Iterable[Sequence[str]]) -> "Vocabulary":
        """Returns the same words with their counts in these captions, which are read once."""
        words = _Counted(token_lists)
        words.read()
        return self._counted(words)

    def extended(
        self, token_lists: Iterable[Sequence[str]], min_count: int = 1, max_words: int | None = None
    ) -> "Vocabulary":
        """Returns all words with their ids, followed by the words that only these captions have.

        Args:
            token_lists: The tokens of each caption, without start and end.
            min_count: New words that occur less often become unknown.
            max_words: Maximum number of words, without the special words; old words always stay.

        Returns:
            New words by decreasing count, then alphabetically. Each count is the sum of the old one and that in these
            captions. Subword pieces spell new words, so there are no new pieces.
        """
        read = _Counted(token_lists)
        read.read()
        new: tuple[str, ...] = ()
        counts = Counter({word: n for word, n in read.words.items() if word not in self and word not in SPECIALS})
        if not self.pieces and any(n >= min_count for n in counts.values()):
            room = None if max_words is None else max(0, max_words + len(SPECIALS) - len(self))
            new = Vocabulary.build([list(counts.elements())], min_count).words[len(SPECIALS) :][:room]
        words = Vocabulary([*self.words, *new], pieces=self.pieces)._counted(read)
        before = (*self.counts, *(0 for _ in new))
        return Vocabulary(words.words, [a + b for a, b in zip(words.counts, before, strict=True)], self.pieces)

    def _counted(self, words: "_Counted") -> "Vocabulary":
        counts = [0] * len(self)
        for word, count in words.words.items():
            for index in self.encode([word]):
                counts[index] += count
        counts[END] = words.captions
        return Vocabulary(self.words, counts, self.pieces)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Returns the ids of tokens, without start and end. With subword pieces, a word may have several ids."""
        if self.pieces:
            return [index for ids in self.encode_words(tokens) for index in ids]
        return [self._ids.get(token, UNK) for token in tokens]

    def encode_words(self, tokens: Iterable[str]) -> list[list[int]]:
        """Returns the ids of each token: one id, or those of its pieces."""
        if self.pieces:
            return [self._encode_pieces(token) for token in tokens]
        return [[self._ids.get(token, UNK)] for token in tokens]

    def _encode_pieces(self, word: str) -> list[int]:
        if word not in self._piece_ids:
            pieces = split_word(word, self._ids)
            self._piece_ids[word] = [UNK] if pieces is None else [self._ids[piece] for piece in pieces]
        return self._piece_ids[word]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the words up to the first end token, without start and padding.

        Args:
            ids: Word ids, as integers of any type.

        Raises:
            ValueError: An id is outside the vocabulary.
        """
        words = []
        for value in ids:
            index = int(value)
            if not 0 <= index < len(self.words):
                raise ValueError(f"word id {index} is outside a vocabulary of {len(self.words)}")
            if index == END:
                break
            if index not in (PAD, START):
                words.append(self.words[index])
        return join_pieces(words) if self.pieces else words

    def sha256(self) -> str:
        """Returns a SHA-256 of the words and their order, in hexadecimal."""
        kind = "pieces" if self.pieces else ""
        return hashlib.sha256((json.dumps(self.words) + kind).encode("ascii")).hexdigest()

    def save(self, path: Path) -> None:
        """Writes the vocabulary as JSON, atomically."""
        kind = {"pieces": True} if self.pieces else {}
        write_json(path, {"format": _FORMAT, "words": self.words, "counts": self.counts, **kind})

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Reads a file that ``save`` wrote.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        content: Any = read_json(path, CheckpointError)
        damaged = f"{path} is not a capsmith vocabulary"
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise CheckpointError(f"{damaged} of format {_FORMAT}: use the vocabulary of the trained run")
        words, counts = content.get("words"), content.get("counts")
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise CheckpointError(f"{damaged}: 'words' must be a list of strings")
        if not isinstance(counts, list) or not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            raise CheckpointError(f"{damaged}: 'counts' must be a list of non-negative integers")
        try:
            return cls(words, counts, content.get("pieces") is True)
        except ValueError as cause:
            raise CheckpointError(f"{damaged}: {cause}") from cause

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return False
        return (self.words, self.counts, self.pieces) == (other.words, other.counts, other.pieces)

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"
