"""N-grams as integers: counted once for the references, looked up for each hypothesis.

A token becomes a number, an n-gram becomes the pair (number of its first n-1 tokens, last token), and pairs are
found by binary search in a sorted array. So whole corpora are counted by a few NumPy calls, and references stay
cached between scorings. BLEU and CIDEr read the same tables.

Letters: S sentences, E different (sentence, n-gram) pairs, G known n-grams, P images, R references.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Captions = Sequence[Sequence[Sequence[Hashable]]]
"""For each image its captions as token sequences."""
ORDER = 4
_BASE = np.int64(2**31)  # more than there are tokens: (previous, token) pairs stay unique in 63 bits


@dataclass(frozen=True)
class Counts:
    """The n-grams of some sentences, one row for each different (sentence, n-gram).

    Attributes:
        sentence: Which sentence, (E,).
        gram: Number of the n-gram, (E,); numbers from ``NgramIndex.size`` on are unknown to the index.
        count: How often it stands in the sentence, (E,).
        order: Its length minus one: 0 for a word, 3 for four words, (E,).
        length: Tokens of each sentence, (S,).
    """

    sentence: Ints
    gram: Ints
    count: Ints
    order: Ints
    length: Ints


class NgramIndex:
    """The n-grams, of length 1 to ``order``, of a fixed set of sentences.

    Args:
        sentences: Token sequences; tokens are strings or integers.
        order: Longest n-gram.

    Attributes:
        counts: The counts of these sentences.
        size: How many different n-grams they hold (G).
    """

    def __init__(self, sentences: Sequence[Sequence[Hashable]], order: int = ORDER) -> None:
        self.order = order
        self._tokens: dict[Hashable, int] = {}
        self._keys: list[Ints] = []
        self.size = 0
        self.counts = self._count(sentences, learn=True)

    def encode(self, sentences: Sequence[Sequence[Hashable]]) -> Counts:
        """Counts other sentences with this index's numbers; it learns nothing."""
        return self._count(sentences, learn=False)

    def _count(self, sentences: Sequence[Sequence[Hashable]], learn: bool) -> Counts:
        length = np.fromiter((len(s) for s in sentences), np.int64, len(sentences))
        owner = np.repeat(np.arange(len(sentences), dtype=np.int64), length)
        flat = self._token_numbers(sentences, learn, int(length.sum()))
        parts: list[tuple[Ints, Ints, Ints]] = []
        previous, known_before, unknown_before = flat, 0, 0
        for n in range(self.order):
            stop = len(flat) - n
            inside = owner[:stop] == owner[n:] if stop > 0 else np.zeros(0, bool)
            if n == 0:
                keys = flat
            else:
                keys = previous[: len(inside)] * _BASE + flat[n:]
            number, known, unknown = self._number(n, keys[inside], learn)
            sentence, local, count = _unique_pairs(owner[: len(inside)][inside], number, known + unknown)
            # Known n-grams of all orders are numbered through; unknown ones follow after the last known.
            gram = np.where(local < known, local + known_before, local - known + unknown_before + self.size)
            parts.append((sentence, gram, count))
            previous = np.full(len(inside), -1, np.int64)
            previous[inside] = number
            known_before, unknown_before = known_before + known, unknown_before + unknown
        if learn:
            self.size = known_before
        order = np.repeat(np.arange(self.order, dtype=np.int64), [len(part[0]) for part in parts])
        sentence, gram, count = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return Counts(sentence, gram, count, order, length)

    def _token_numbers(self, sentences: Sequence[Sequence[Hashable]], learn: bool, size: int) -> Ints:
        known, new = self._tokens, self._tokens if learn else {}
        first = 0 if learn else len(known)  # numbers of new tokens start here
        numbers = (
            found if (found := known.get(token)) is not None else new.setdefault(token, first + len(new))
            for sentence in sentences
            for token in sentence
        )
        return np.fromiter(numbers, np.int64, size)

    def _number(self, level: int, keys: Ints, learn: bool) -> tuple[Ints, int, int]:
        """Numbers the n-grams of one length from 0; unknown ones follow the known."""
        if learn:
            unique, inverse = np.unique(keys, return_inverse=True)
            self._keys.append(unique)
            return inverse.astype(np.int64), len(unique), 0
        table = self._keys[level]
        place = np.searchsorted(table, keys)
        found = place < len(table)
        found[found] = table[place[found]] == keys[found]
        unique, inverse = np.unique(keys[~found], return_inverse=True)
        number = place.astype(np.int64)
        number[~found] = len(table) + inverse
        return number, len(table), len(unique)


def _unique_pairs(first: Ints, second: Ints, width: int) -> tuple[Ints, Ints, Ints]:
    """Returns the different (first, second) pairs, sorted, and how often each occurs."""
    pairs, count = np.unique(first * np.int64(max(1, width)) + second, return_counts=True)
    return pairs // max(1, width), pairs % max(1, width), count.astype(np.int64)


class ReferenceNgrams:
    """The n-grams of all references, grouped by image.

    Args:
        references: For each image its references as token sequences; at least one each.
        others: References of other images, in the same form, for document frequencies alone.
        order: Longest n-gram.

    Attributes:
        index: The numbers of the n-grams.
        images: How many images (P).
        image_of: The image of each reference, (R,).
        lengths: For each image the lengths of its references.
        document_frequency: In how many images' references each n-gram stands, (G,).
        other_images: How many images ``others`` holds.
        other_frequency: In how many of them each n-gram stands, (G,).
    """

    def __init__(self, references: Captions, others: Captions = (), order: int = ORDER) -> None:
        self.images, self.other_images = len(references), len(others)
        self.lengths = [[len(sentence) for sentence in group] for group in references]
        groups = [*references, *others]
        owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups]).astype(np.int64)
        self.index = NgramIndex([sentence for group in groups for sentence in group], order)
        counts, self._width = self.index.counts, np.int64(max(1, self.index.size))
        key = owner[counts.sentence] * self._width + counts.gram
        by_key = np.argsort(key, kind="stable")
        ordered = key[by_key]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
        different = ordered[first]  # pairs (image, n-gram), sorted; those of ``others`` come last
        mine = int(np.searchsorted(different, self.images * self._width))
        self.document_frequency = np.bincount(different[:mine] % self._width, minlength=self.index.size)
        self.other_frequency = np.bincount(different[mine:] % self._width, minlength=self.index.size)
        by_key = by_key[: np.searchsorted(ordered, self.images * self._width)]
        self.reference, self.gram = counts.sentence[by_key], counts.gram[by_key]
        self.count, self.order = counts.count[by_key], counts.order[by_key]
        self.image_of = owner[owner < self.images]
        self._key, self._start = different[:mine], first[:mine]
        self._stop = np.append(self._start[1:], len(by_key))[: len(self._start)]
        self.highest = np.maximum.reduceat(self.count, self._start) if mine else np.zeros(0, np.int64)

    def find(self, images: Ints, grams: Ints) -> tuple[Ints, Ints]:
        """Looks n-grams up in the references of images.

        Args:
            images: (E,) image numbers.
            grams: (E,) n-gram numbers, unknown ones allowed.

        Returns:
            The rows of the input that were found, and for each its group: ``highest[group]`` is the largest count
            in one reference, ``rows(group)`` gives the single references.
        """
        known = np.flatnonzero(grams < self.index.size)
        key = images[known] * self._width + grams[known]
        place = np.searchsorted(self._key, key)
        hit = place < len(self._key)
        hit[hit] = self._key[place[hit]] == key[hit]
        return known[hit], place[hit]

    def rows(self, groups: Ints) -> tuple[Ints, Ints]:
        """Expands groups into rows of ``reference``, ``gram``, ``count`` and ``order``.

        Returns:
            For each row which of ``groups`` it came from, and its number.
        """
        size = self._stop[groups] - self._start[groups]
        source = np.repeat(np.arange(len(groups)), size)
        first = np.repeat(self._start[groups] - np.cumsum(size) + size, size)
        return source, first + np.arange(int(size.sum()))
