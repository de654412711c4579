"""CIDEr-D computed directly from the paper's equations, and small captions for it."""

import math
from collections import Counter

from capsmith.metrics.tfidf import SIGMA

CORPUS = {
    "a": [["a", "dog", "runs", "in", "the", "snow"], ["the", "dog", "is", "running"]],
    "b": [["two", "people", "sit"], ["people", "sit", "in", "the", "park"]],
    "c": [["a", "cat", "sleeps"]],
}
TRAIN = {
    "t1": [["a", "dog", "sits"], ["the", "dog", "in", "a", "car"]],
    "t2": [["a", "man", "runs"]],
    "t3": [["the", "dog", "runs", "in", "the", "grass"]],
    "t4": [["a", "plane"]],
}


def slow_cider(hypothesis, references, corpus, plain=False):
    """Returns CIDEr-D of one image from the paper's equations; ``corpus`` gives the document frequencies."""

    def vector(tokens, n):
        counts = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
        vector = {}
        for gram, count in counts.items():
            n = len(gram)
            images = sum(any(gram == tuple(s[i : i + n]) for s in group for i in range(len(s))) for group in corpus)
            vector[gram] = count * (math.log(len(corpus)) - math.log(max(1, images)))
        return vector

    total = 0.0
    for n in range(1, 5):
        mine = vector(hypothesis, n)
        for reference in references:
            theirs = vector(reference, n)
            dot = sum((w if plain else min(w, theirs.get(g, 0))) * theirs.get(g, 0) for g, w in mine.items())
            norms = math.sqrt(sum(w * w for w in mine.values())) * math.sqrt(sum(w * w for w in theirs.values()))
            apart = max(0, len(hypothesis) - 1) - max(0, len(reference) - 1)
            factor = 1 if plain else math.exp(-(apart**2) / (2 * SIGMA**2))
            total += (dot / norms if norms else 0) * factor / len(references)
    return 10 * total / 4
