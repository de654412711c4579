"""A small table model whose captions can be enumerated."""

import itertools

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START

A, B, C = 4, 5, 6
V = 7


class Table:
    """A second-order model with one random table per image; its state is the image and the previous token."""

    def __init__(self, images, seed=0, sharpness=1.0):
        self.table = np.random.default_rng(seed).normal(scale=sharpness, size=(images, V, V, V)).astype(np.float32)
        self.table -= np.log(np.exp(self.table).sum(-1, keepdims=True))

    def start(self, features):
        count = len(features)
        return np.stack([np.arange(count), np.full(count, PAD)], axis=1)

    def step(self, tokens, parents, state):
        image, before = state[parents].T
        return self.table[image, before, tokens], np.stack([image, tokens], axis=1)

    def log_probability(self, image, words, ended=True):
        before, word, total = PAD, START, 0.0
        for following in [*words, *([END] if ended else [])]:
            total += float(self.table[image, before, word, following])
            before, word = word, following
        return total


def features(images):
    return np.zeros((images, 1), np.float32)


def sentences(longest):
    """Returns all sentences of up to ``longest`` - 1 words that end with the end token."""
    for length in range(longest):
        yield from itertools.product((A, B, C), repeat=length)
