"""The words that a captioner knows, and their ids."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, DataError
from capsmith.core.files import read_json, write_json
from capsmith.data.text.subwords import SIZE, split_word, train_wordpiece, words_of

PAD, UNK, START, END = range(4)
PAD_WORD, UNK_WORD, START_WORD, END_WORD = "<pad>", "<unk>", "<start>", "<end>"
SPECIALS = (PAD_WORD, UNK_WORD, START_WORD, END_WORD)
_FORMAT = 1


class Vocabulary:
    """Words by id; the first four are padding, unknown, start and end.

    The four have no spelling: a caption that holds the text ``<start>`` encodes it as unknown, never as the
    special.

    Args:
        words: All words in order of id, the four specials first.
        counts: How often training will meet each as a target; zeros when not known.
        pieces: They are pieces of words: `encode` cuts words into them, and `decode` puts them together.

    Raises:
        ValueError: The specials are not in their places, a word occurs twice, or the lengths differ.
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int] | None = None, pieces: bool = False) -> None:
        if tuple(words[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"the first words must be {' '.join(SPECIALS)}")
        self.words: tuple[str, ...] = tuple(words)
        self.pieces = pieces
        self._pieces_of: dict[str, list[int]] = {}
        self.counts: tuple[int, ...] = tuple(counts) if counts is not None else (0,) * len(self.words)
        """Frequencies in the train split by id: ``<unk>`` counts words left out, ``<end>`` the captions."""
        if len(self.counts) != len(self.words):
            raise ValueError(f"{len(self.counts)} counts for {len(self.words)} words")
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for word, n in Counter(self.words).items() if n > 1)
            raise ValueError(f"the word {twice!r} occurs twice")
        for special in SPECIALS:
            del self._ids[special]

    @classmethod
    def build(
        cls, token_lists: Iterable[Sequence[str]], min_count: int = 1, max_words: int | None = None
    ) -> "Vocabulary":
        """Collects the words of the train split.

        Args:
            token_lists: The tokens of each caption, without start and end.
            min_count: Words seen less often become unknown.
            max_words: Keep only so many, specials not counted.

        Returns:
            The words by falling count, then alphabetically: the order of the captions does not matter.

        Raises:
            DataError: No word is seen often enough.
        """
        seen: Counter[str] = Counter()
        captions = 0
        for tokens in token_lists:
            seen.update(tokens)
            captions += 1
        ranked = sorted(
            (word for word, n in seen.items() if n >= min_count and word not in SPECIALS),
            key=lambda word: (-seen[word], word),
        )[:max_words]
        if not ranked:
            raise DataError(
                f"none of the {len(seen)} words in {captions} training captions occurs {min_count} times: "
                "lower text.min_count, or look at the captions"
            )
        known = [seen[word] for word in ranked]
        return cls([*SPECIALS, *ranked], [0, seen.total() - sum(known), 0, captions, *known])

    @classmethod
    def of_pieces(cls, token_lists: Iterable[Sequence[str]], size: int = SIZE) -> "Vocabulary":
        """Learns the pieces of the train split's words.

        Args:
            token_lists: The words of each caption, without start and end.
            size: Pieces at most.

        Raises:
            MissingExtraError: The package ``tokenizers`` is not installed.
            DataError: There are no words.
        """
        captions = [list(tokens) for tokens in token_lists]
        found = train_wordpiece(captions, size, SPECIALS)
        if not found:
            raise DataError(f"the {len(captions)} training captions have no words: look at the captions")
        made = cls([*SPECIALS, *found], pieces=True).counted(captions)
        order = sorted(range(len(SPECIALS), len(made)), key=lambda n: (-made.counts[n], made.words[n]))
        return cls([*SPECIALS, *(made.words[n] for n in order)], pieces=True).counted(captions)

    def counted(self, token_lists: Iterable[Sequence[str]]) -> "Vocabulary":
        """Returns the same words with their counts in these captions."""
        captions = list(token_lists)
        seen = Counter(index for tokens in captions for index in self.encode(tokens))
        counts = [seen[n] for n in range(len(self))]
        counts[END] = len(captions)
        return Vocabulary(self.words, counts, self.pieces)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Returns the ids of tokens; start and end are not added. Of pieces, a word may have several."""
        if self.pieces:
            return [index for group in self.encode_words(tokens) for index in group]
        return [self._ids.get(token, UNK) for token in tokens]

    def encode_words(self, tokens: Iterable[str]) -> list[list[int]]:
        """Returns the ids of each token: one, or those of a word's pieces."""
        return (
            [self._encode_word(token) for token in tokens] if self.pieces else [[self._ids.get(t, UNK)] for t in tokens]
        )

    def _encode_word(self, word: str) -> list[int]:
        if word not in self._pieces_of:
            found = split_word(word, self._ids)
            self._pieces_of[word] = [UNK] if found is None else [self._ids[piece] for piece in found]
        return self._pieces_of[word]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the words up to the first end token, without start and padding.

        Args:
            ids: Word ids, as any integers (NumPy's too).

        Raises:
            ValueError: An id is not of this vocabulary.
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
        return words_of(words) if self.pieces else words

    def sha256(self) -> str:
        """Returns a SHA-256 over the words and their order, in hexadecimal."""
        kind = "pieces" if self.pieces else ""
        return hashlib.sha256((json.dumps(self.words) + kind).encode("ascii")).hexdigest()

    def save(self, path: Path) -> None:
        """Writes the vocabulary as JSON, all of it or nothing."""
        kind = {"pieces": True} if self.pieces else {}
        write_json(path, {"format": _FORMAT, "words": self.words, "counts": self.counts, **kind})

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Reads what ``save`` wrote.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        content: Any = read_json(path, CheckpointError)
        damaged = f"{path} is not a capsmith vocabulary"
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise CheckpointError(f"{damaged} of format {_FORMAT}: take the file of the run that was trained")
        words, counts = content.get("words"), content.get("counts")
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise CheckpointError(f"{damaged}: 'words' must be a list of texts")
        if not isinstance(counts, list) or not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            raise CheckpointError(f"{damaged}: 'counts' must be a list of whole numbers")
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
