"""N-grams as integers: counted once for the references, looked up for each hypothesis.

A token becomes a number, an n-gram becomes the pair (number of its first n-1 tokens, last token), and pairs are
found by binary search in a sorted array. A few NumPy calls count a complete corpus, and references stay cached
between calls. BLEU and CIDEr read the same tables.

E different (sentence, n-gram) pairs · G known n-grams · P images · R references · S sentences.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Captions = Sequence[Sequence[Sequence[Hashable]]]
"""The captions of each image as token sequences."""
ORDER = 4
_BASE = np.int64(2**31)  # more than the number of tokens: (previous, token) pairs stay unique in 63 bits


@dataclass(frozen=True)
class Counts:
    """The n-grams of S sentences, one row for each different (sentence, n-gram).

    Attributes:
        sentence: The sentence of each row, (E,).
        gram: The number of the n-gram, (E,); numbers from ``NgramIndex.size`` on are unknown to the index.
        count: How often the sentence contains it, (E,).
        order: Its length minus one: 0 for a word, 3 for four words, (E,).
        length: The number of tokens of each sentence, (S,).
    """

    sentence: Ints
    gram: Ints
    count: Ints
    order: Ints
    length: Ints


class NgramIndex:
    """The n-grams, of length 1 to 4, of a fixed set of sentences.

    Args:
        sentences: Token sequences; tokens are strings or integers.

    Attributes:
        counts: The counts of these sentences.
        size: The number of different n-grams (G).
    """

    def __init__(self, sentences: Sequence[Sequence[Hashable]]) -> None:
        self._tokens: dict[Hashable, int] = {}
        self._keys: list[Ints] = []
        self.size = 0
        self.counts = self._count(sentences, learn=True)

    def encode(self, sentences: Sequence[Sequence[Hashable]]) -> Counts:
        """Counts other sentences in the numbering of this index; the index does not change."""
        return self._count(sentences, learn=False)

    def _count(self, sentences: Sequence[Sequence[Hashable]], learn: bool) -> Counts:
        length = np.fromiter((len(s) for s in sentences), np.int64, len(sentences))
        owner = np.repeat(np.arange(len(sentences), dtype=np.int64), length)
        flat = self._token_numbers(sentences, learn, int(length.sum()))
        parts: list[tuple[Ints, Ints, Ints]] = []
        previous, known_before, unknown_before = flat, 0, 0
        for n in range(ORDER):
            stop = len(flat) - n
            inside = owner[:stop] == owner[n:] if stop > 0 else np.zeros(0, bool)
            if n == 0:
                keys = flat
            else:
                keys = previous[: len(inside)] * _BASE + flat[n:]
            number, known, unknown = self._number(n, keys[inside], learn)
            sentence, local, count = _unique_pairs(owner[: len(inside)][inside], number, known + unknown)
            # Known n-grams of all orders are numbered consecutively; unknown ones follow the last known one.
            gram = np.where(local < known, local + known_before, local - known + unknown_before + self.size)
            parts.append((sentence, gram, count))
            previous = np.full(len(inside), -1, np.int64)
            previous[inside] = number
            known_before, unknown_before = known_before + known, unknown_before + unknown
        if learn:
            self.size = known_before
        order = np.repeat(np.arange(ORDER, dtype=np.int64), [len(part[0]) for part in parts])
        sentence, gram, count = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return Counts(sentence, gram, count, order, length)

    def _token_numbers(self, sentences: Sequence[Sequence[Hashable]], learn: bool, size: int) -> Ints:
        known, new = self._tokens, self._tokens if learn else {}
        first = 0 if learn else len(known)  # numbers of new tokens start here
        numbers = (
            number if (number := known.get(token)) is not None else new.setdefault(token, first + len(new))
            for sentence in sentences
            for token in sentence
        )
        return np.fromiter(numbers, np.int64, size)

    def _number(self, level: int, keys: Ints, learn: bool) -> tuple[Ints, int, int]:
        """Numbers the n-grams of one length from 0; unknown ones follow the known ones."""
        if learn:
            unique, inverse = np.unique(keys, return_inverse=True)
            self._keys.append(unique)
            return inverse.astype(np.int64), len(unique), 0
        table = self._keys[level]
        place = np.searchsorted(table, keys)
        known = place < len(table)
        known[known] = table[place[known]] == keys[known]
        unique, inverse = np.unique(keys[~known], return_inverse=True)
        number = place.astype(np.int64)
        number[~known] = len(table) + inverse
        return number, len(table), len(unique)


def _unique_pairs(first: Ints, second: Ints, width: int) -> tuple[Ints, Ints, Ints]:
    """Returns the different (first, second) pairs, sorted, and how often each occurs."""
    pairs, count = np.unique(first * np.int64(max(1, width)) + second, return_counts=True)
    return pairs // max(1, width), pairs % max(1, width), count.astype(np.int64)


def document_frequency(index: NgramIndex, image: Ints) -> Ints:
    """Returns the number of images whose sentences contain each n-gram, (G,).

    Args:
        index: The n-grams of S sentences.
        image: The image of each sentence, (S,).
    """
    width = np.int64(max(1, index.size))
    pairs = np.unique(image[index.counts.sentence] * width + index.counts.gram)
    return np.bincount(pairs % width, minlength=index.size)


class ReferenceNgrams:
    """The n-grams of all references, grouped by image.

    Args:
        references: The references of each image as token sequences, at least one per image.
        others: References of other images, in the same form, for document frequencies only.

    Attributes:
        index: The numbering of the n-grams.
        images: The number of images (P).
        counts: The counts of the R references, sorted by image and n-gram.
        lengths: The lengths of the references of each image.
        document_frequency: The number of images whose references contain each n-gram, (G,).
        other_images: The number of images in ``others``.
        other_frequency: The number of those images whose references contain each n-gram, (G,).
        highest: The largest count of each (image, n-gram) in one reference.
    """

    def __init__(self, references: Captions, others: Captions = ()) -> None:
        self.images, self.other_images = len(references), len(others)
        self.lengths = [[len(sentence) for sentence in group] for group in references]
        groups = [*references, *others]
        image = np.repeat(np.arange(len(groups)), [len(group) for group in groups]).astype(np.int64)
        self.index = NgramIndex([sentence for group in groups for sentence in group])
        counts, self._width = self.index.counts, np.int64(max(1, self.index.size))
        key = image[counts.sentence] * self._width + counts.gram
        by_key = np.argsort(key, kind="stable")
        ordered = key[by_key]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
        different = ordered[first]  # pairs (image, n-gram), sorted; those of ``others`` come last
        end = int(np.searchsorted(different, self.images * self._width))
        self.document_frequency = np.bincount(different[:end] % self._width, minlength=self.index.size)
        self.other_frequency = np.bincount(different[end:] % self._width, minlength=self.index.size)
        by_key = by_key[: np.searchsorted(ordered, self.images * self._width)]
        self.counts = Counts(
            counts.sentence[by_key],
            counts.gram[by_key],
            counts.count[by_key],
            counts.order[by_key],
            counts.length[: sum(map(len, references))],
        )
        self._key, self._start = different[:end], first[:end]
        self._stop = np.append(self._start[1:], len(by_key))[: len(self._start)]
        self.highest = np.maximum.reduceat(self.counts.count, self._start) if end else np.zeros(0, np.int64)

    def find(self, images: Ints, grams: Ints) -> tuple[Ints, Ints]:
        """Looks up n-grams in the references of images.

        Args:
            images: Image numbers, (E,).
            grams: N-gram numbers, (E,); they may be unknown.

        Returns:
            The input rows with a match, and the group of each: ``highest[group]`` is the largest count in one
            reference, and ``rows(group)`` returns the single references.
        """
        known = np.flatnonzero(grams < self.index.size)
        key = images[known] * self._width + grams[known]
        place = np.searchsorted(self._key, key)
        hit = place < len(self._key)
        hit[hit] = self._key[place[hit]] == key[hit]
        return known[hit], place[hit]

    def rows(self, groups: Ints) -> tuple[Ints, Ints]:
        """Expands groups into rows of ``counts``.

        Returns:
            For each row, the index of its group in ``groups``, and its row number.
        """
        size = self._stop[groups] - self._start[groups]
        source = np.repeat(np.arange(len(groups)), size)
        first = np.repeat(self._start[groups] - np.cumsum(size) + size, size)
        return source, first + np.arange(int(size.sum()))
