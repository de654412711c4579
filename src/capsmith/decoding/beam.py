"""Beam search, plain or in diverse groups.

B images · K beams of a group · G groups · N = B · G · K rows · V vocabulary.
"""

from typing import Any

import numpy as np

from capsmith.data.text.vocabulary import END
from capsmith.decoding.constraints import IMPOSSIBLE, allowed
from capsmith.decoding.search import BeamConfig, Hypothesis, Stepper, Walk, at_once, hypothesis


def beam(config: BeamConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Keeps the K best unfinished captions at every step and the K best finished ones over all steps.

    A candidate that ends counts as finished when it ranks among the K best of its step. The search of an image stops
    when its K finished captions all score at least what its best unfinished one would score if it ended now, however
    long other images of the batch go on: a longer caption could still become better where scores are divided by the
    length, and an image's captions must not depend on its company. Captions cut at ``max_length`` come after the
    finished ones. With several groups this is diverse beam search (Vijayakumar et al. 2018) with the Hamming distance;
    each group of an image stops by itself, and has no words for others to avoid from then on.
    """
    if (found := at_once(stepper, features, config)) is not None:
        return found
    images, each = len(features), config.beam_size // config.groups
    walk = Walk(stepper, features, config.beam_size)
    groups = [_Group(images, each, config) for _ in range(config.groups)]
    first = np.arange(images)[:, None] * config.beam_size
    for position in range(config.max_length):
        said = np.concatenate([group.words[:, :, :position] for group in groups], axis=1)
        log_probs = allowed(
            walk.advance(), said.reshape(images * config.beam_size, position), config.min_length, config.no_repeat
        )
        log_probs = log_probs.reshape(images, config.groups, each, -1)
        used = np.zeros((images, log_probs.shape[-1]), np.float32)  # how many beams before chose a word
        parents = [group.extend(log_probs[:, g], used, position) for g, group in enumerate(groups)]
        if all([group.settle(position) for group in groups]):
            break
        rows = [first + g * each + own for g, own in enumerate(parents)]
        word = [group.words[:, :, position] for group in groups]
        walk.choose(np.concatenate(word, axis=1).ravel(), np.concatenate(rows, axis=1).ravel())
    return [_merged([group.of(row) for group in groups]) for row in range(images)]


def _merged(groups: list[list[Hypothesis]]) -> list[Hypothesis]:
    """Returns the different captions of all groups, best first, cut ones last."""
    found = {h.tokens: h for group in reversed(groups) for h in group}
    return sorted(found.values(), key=lambda h: (not h.ended, -h.score))


class _Group:
    """Beams of all images that are chosen among themselves; plain beam search has one group."""

    def __init__(self, images: int, beams: int, config: BeamConfig) -> None:
        self.config, self.beams = config, beams
        self.live = np.full((images, beams), IMPOSSIBLE, np.float32)
        self.live[:, 0] = 0.0  # the beams start alike: one is enough
        self.words = np.full((images, beams, config.max_length), END, np.int32)
        self.finished = _Finished(images, beams, config.max_length)
        self._image = np.arange(images)[:, None]

    def extend(self, log_probs: np.ndarray, used: np.ndarray, position: int) -> np.ndarray:
        """Goes one word further.

        Args:
            log_probs: (B, K, V).
            used: How many beams of the groups before chose each word, (B, V); this group's are added.
            position: How many words were said before.

        Returns:
            Which beam each beam continues, (B, K).
        """
        scores, parents, word = _best(self.live[:, :, None] + log_probs, 2 * self.beams, self.config.diversity * used)
        ends = word == END
        among_best = np.arange(scores.shape[1]) < self.beams
        ending = np.where(ends & among_best, scores, IMPOSSIBLE)
        by_length = ending / (position + 1) ** self.config.length_penalty
        self.finished.add(ending, by_length, self.words[self._image, parents])
        keep = np.argsort(ends, axis=1, kind="stable")[:, : self.beams]  # the K best that go on
        live, parents, word = (np.take_along_axis(a, keep, axis=1) for a in (scores, parents, word))
        self.live = np.where(word == END, IMPOSSIBLE, live)  # a vocabulary smaller than the beam
        self.words = self.words[self._image, parents]
        self.words[:, :, position] = word
        np.add.at(used, (self._image, word), np.isfinite(self.live))
        return parents

    def settle(self, position: int) -> bool:
        """Ends the search of images whose finished captions are at least as good as the unfinished ones would be.

        Their beams become impossible, so that no later step changes what was found. Returns whether all have ended.
        """
        ahead = self.live.max(axis=1) / (position + 2) ** self.config.length_penalty
        settled = self.finished.score[:, -1] >= ahead
        self.live[settled] = IMPOSSIBLE
        return bool(settled.all())

    def of(self, row: int) -> list[Hypothesis]:
        """Returns one image's captions."""
        done = self.finished
        return captions_of(
            done.score[row], done.log_probability[row], done.words[row], self.words[row], self.live[row], self.config
        )


def _best(total: np.ndarray, count: int, handicap: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scores, beams and words (B, count) of the best entries of (B, K, V), best first.

    A word's ``handicap`` (B, V) is taken away for the choice alone.
    """
    images, _, size = total.shape
    flat = total.reshape(images, -1)
    rank = flat if not handicap.any() else (total - handicap[:, None]).reshape(images, -1)
    count = min(count, flat.shape[1])
    index = np.argpartition(rank, -count, axis=1)[:, -count:]
    order = np.argsort(-np.take_along_axis(rank, index, axis=1), axis=1, kind="stable")
    index = np.take_along_axis(index, order, axis=1)
    return np.take_along_axis(flat, index, axis=1), index // size, index % size


class _Finished:
    """The K best finished captions of every image, best first."""

    def __init__(self, images: int, beams: int, length: int) -> None:
        self.beams = beams
        self.score = np.full((images, beams), IMPOSSIBLE, np.float32)
        self.log_probability = self.score.copy()
        self.words = np.full((images, beams, length), END, np.int32)

    def add(self, log_probability: np.ndarray, score: np.ndarray, words: np.ndarray) -> None:
        """Takes in candidates (B, C) with their words (B, C, T); those at -inf are none."""
        if not np.isfinite(score).any():
            return
        scores = np.concatenate([self.score, score], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.beams]
        self.score = np.take_along_axis(scores, order, axis=1)
        both = np.concatenate([self.log_probability, log_probability], axis=1)
        self.log_probability = np.take_along_axis(both, order, axis=1)
        all_words = np.concatenate([self.words, words], axis=1)
        self.words = all_words[np.arange(len(order))[:, None], order]


def captions_of(
    score: np.ndarray,
    log_probability: np.ndarray,
    words: np.ndarray,
    cut: np.ndarray,
    live: np.ndarray,
    config: BeamConfig,
) -> list[Hypothesis]:
    """Returns one image's captions: the finished ones, then cut ones where beams are left over.

    Args:
        score: Of the finished captions (K,), best first; those at -inf are none.
        log_probability: Theirs (K,).
        words: Theirs (K, T).
        cut: Words of those that never ended (K, T).
        live: Their log probability (K,).
        config: Of the search.
    """
    ended = np.isfinite(score)
    found = [
        hypothesis(*row, ended=True) for row in zip(words[ended], log_probability[ended], score[ended], strict=True)
    ]
    for row, total in zip(cut, live, strict=True):
        if len(found) < len(score) and np.isfinite(total):
            length = int((row != END).sum())
            found.append(hypothesis(row, total, total / max(length, 1) ** config.length_penalty, ended=False))
    return found or [Hypothesis((), 0.0, 0.0, ended=True)]
