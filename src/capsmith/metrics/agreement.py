"""How much captions agree with each other: CIDEr-D between every pair, without references in between.

C candidates · V voters · E n-grams in them · G different n-grams.

Captions are word ids here, as a search finds them, and an n-gram is one number of 64 bits: a polynomial in its words'
ids, modulo 2^64. That two n-grams share a number is as unlikely as guessing it.
"""

from collections.abc import Sequence

import numpy as np

from capsmith.metrics.cider import SIGMA
from capsmith.metrics.ngrams import ORDER

Sentences = Sequence[Sequence[int]]
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd and of no pattern: 2^64 over the golden ratio


class DocumentFrequencies:
    """In how many images' captions each n-gram stands.

    Args:
        captions: For each image its captions as word ids.
    """

    def __init__(self, captions: Sequence[Sentences]) -> None:
        self.images = len(captions)
        flat = [sentence for group in captions for sentence in group]
        image = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
        self._keys, self._idf = [], []
        for order in range(1, ORDER + 1):
            owner, key = _grams(flat, order)
            pairs = np.unique(np.stack([key, image[owner].astype(np.uint64)], axis=1), axis=0)
            keys, count = np.unique(pairs[:, 0], return_counts=True)
            self._keys.append(keys)
            self._idf.append(np.append(np.log(self.images / count), np.log(max(1, self.images))))  # the last: unseen

    def rarity(self, key: np.ndarray, order: int) -> np.ndarray:
        """Returns log N - log max(1, df) of n-grams (G,) of one order."""
        keys, idf = self._keys[order - 1], self._idf[order - 1]
        place = np.searchsorted(keys, key)
        known = place < len(keys)
        known[known] = keys[place[known]] == key[known]
        rarity: np.ndarray = idf[np.where(known, place, len(keys))]
        return rarity


def agreement(candidates: Sentences, voters: Sentences, frequencies: DocumentFrequencies) -> np.ndarray:
    """Returns the CIDEr-D, 0 to 10, of each candidate against each voter as its one reference, (C, V)."""
    lengths = [np.array([max(0, len(s) - 1) for s in some]) for some in (candidates, voters)]  # in bigrams
    near = np.exp(-((lengths[0][:, None] - lengths[1][None]) ** 2) / (2 * SIGMA**2))
    total = np.zeros(near.shape)
    for order in range(1, ORDER + 1):
        mine, theirs = (_grams(some, order) for some in (candidates, voters))
        known, index = np.unique(mine[1], return_inverse=True)
        rarity = frequencies.rarity(known, order)
        ours = _counts(mine[0], index, len(candidates), len(known))
        place = np.searchsorted(known, theirs[1])
        shared = place < len(known)
        shared[shared] = known[place[shared]] == theirs[1][shared]
        votes = _counts(theirs[0][shared], place[shared], len(voters), len(known))
        norms = np.sqrt(((ours * rarity) ** 2).sum(axis=1))[:, None] * _norms(theirs, len(voters), order, frequencies)
        dots = _clipped(ours, votes, rarity**2)
        total += np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return 10.0 * near * total / ORDER


def _clipped(ours: np.ndarray, votes: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Returns the sum over n-grams of min(ours, votes) · votes · worth, (C, V); counts are small whole numbers."""
    dots = np.zeros((len(ours), len(votes)))
    for level in range(1, int(ours.max(initial=0)) + 1):  # min(a, b) is how many levels both reach
        dots += ((ours >= level) * worth) @ ((votes >= level) * votes).T
    return dots


def _norms(
    grams: tuple[np.ndarray, np.ndarray], count: int, order: int, frequencies: DocumentFrequencies
) -> np.ndarray:
    owner, key = grams
    known, index = np.unique(key, return_inverse=True)
    pairs, times = np.unique(owner * max(1, len(known)) + index, return_counts=True)
    weight = times * frequencies.rarity(known, order)[pairs % max(1, len(known))]
    norms: np.ndarray = np.sqrt(np.bincount(pairs // max(1, len(known)), weights=weight**2, minlength=count))
    return norms


def _counts(owner: np.ndarray, index: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.bincount(owner * columns + index, minlength=rows * columns).reshape(rows, columns).astype(np.float64)


def _grams(sentences: Sentences, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sentence of each n-gram (E,) and its number (E,)."""
    length = np.fromiter((len(s) for s in sentences), np.int64, len(sentences))
    words = np.fromiter((word for s in sentences for word in s), np.uint64, int(length.sum()))
    owner = np.repeat(np.arange(len(sentences)), length)
    stop = max(0, len(words) - order + 1)
    whole = owner[:stop] == owner[order - 1 :][:stop]
    key = np.zeros(stop, np.uint64)
    for place in range(order):
        key = key * _BASE + words[place : place + stop]
    return owner[:stop][whole], key[whole]
