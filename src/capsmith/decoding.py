"""Search for captions over the decoder protocol: greedy, beam, sampling.

B pictures · K beams (or samples) · N = B · K rows · V vocabulary. The search is NumPy and knows no decoder: it asks
a ``Stepper`` for the next word's log probabilities and tells it which rows live on. Pad, start and unknown are never
emitted; a model that never ends a sentence is cut at ``max_length``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field

from capsmith.banning import IMPOSSIBLE, allowed
from capsmith.registry import Registry
from capsmith.schema import Settings
from capsmith.text.vocabulary import END, START

DECODINGS = Registry("decoding")


class Stepper(Protocol):
    """A decoder, ready to be searched."""

    def start(self, features: Any) -> Any:
        """Returns the state for B pictures, before the first word."""

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Reads a word a row.

        Args:
            tokens_N: The words, int32.
            parents_N: For each row, the row of ``state`` that it continues, of the same picture; after ``start`` the
                picture itself. The rows of a picture stand together, and every picture has as many.
            state: From ``start`` or from the step before.

        Returns:
            Log probabilities (N, V) of the next word, and the state after this one.
        """


class DecodingConfig(Settings):
    """What every search shares."""

    type: str
    """``greedy``, ``beam`` or ``sample``."""
    max_length: int = Field(default=30, ge=1)
    """Longest caption in tokens, the end token not counted."""
    min_length: int = Field(default=1, ge=0)
    """The end token is not allowed before so many words."""
    no_repeat: int = Field(default=0, ge=0)
    """No run of so many words comes twice in a caption (3: Paulus et al. 2018); 0 allows all."""


@DECODINGS.register("capsmith.decoding:greedy")
class GreedyConfig(DecodingConfig):
    """The likeliest word at every step."""

    type: Literal["greedy"] = "greedy"


@DECODINGS.register("capsmith.decoding:beam")
class BeamConfig(DecodingConfig):
    """Beam search."""

    type: Literal["beam"] = "beam"
    beam_size: int = Field(default=5, ge=1)
    """Beams kept (K), and captions returned at most."""
    length_penalty: float = Field(default=0.7, ge=0)
    """A caption's score is its log probability over its length to this power; 0 favours short captions."""
    rerank: Literal["none", "consensus"] = "none"
    """``consensus`` puts the caption first that agrees most with the other beams; wants 5 beams or more."""


@DECODINGS.register("capsmith.decoding:sample")
class SampleConfig(DecodingConfig):
    """Random captions."""

    type: Literal["sample"] = "sample"
    samples: int = Field(default=1, ge=1)
    """Captions a picture."""
    temperature: float = Field(default=1.0, ge=1e-4, le=1e4)
    """Below 1 is safer, above 1 wilder."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw from the k likeliest words alone."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the fewest words that hold this much probability (Holtzman et al. 2020)."""
    seed: int = Field(default=0, ge=0)
    """Another seed, other captions."""


@dataclass(frozen=True)
class Hypothesis:
    """One caption that a search found.

    Attributes:
        tokens: Word ids without start and end.
        log_probability: Sum over the words, and over the end token when the sentence ended.
        score: What the search ranked by.
        ended: False when it was cut at the longest length.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    ended: bool


def search(stepper: Stepper, features: Any, config: DecodingConfig) -> list[list[Hypothesis]]:
    """Finds captions for a batch of pictures.

    Args:
        stepper: The model.
        features: What ``stepper.start`` takes of B pictures: (B, D) or (B, L, D); its length is B.
        config: The settings of a registered search.

    Returns:
        For each picture its hypotheses, best first; at least one.
    """
    found: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    return found


def _allowed(log_probs: np.ndarray, words: np.ndarray, config: DecodingConfig) -> np.ndarray:
    return allowed(log_probs, words, config.min_length, config.no_repeat)


class _Walk:
    """Tokens, parents and decoder state between the steps of a search over B · K rows."""

    def __init__(self, stepper: Stepper, features: Any, each: int) -> None:
        self.stepper = stepper
        self.state = stepper.start(features)
        self.parents = np.repeat(np.arange(len(features), dtype=np.int32), each)
        self.tokens = np.full(len(self.parents), START, np.int32)

    def advance(self) -> np.ndarray:
        """Returns the next word's log probabilities (N, V)."""
        log_probs, self.state = self.stepper.step(self.tokens, self.parents, self.state)
        return log_probs

    def choose(self, tokens: np.ndarray, parents: np.ndarray | None = None) -> None:
        """Sets the words (N,) read next, and the rows that they continue (by default their own)."""
        self.tokens = tokens.astype(np.int32)
        self.parents = np.arange(len(tokens), dtype=np.int32) if parents is None else parents.astype(np.int32)


def greedy(config: GreedyConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Takes the likeliest word at every step."""
    return _one_by_one(config, stepper, features, 1, lambda log_probs: log_probs.argmax(axis=1))


def sample(config: SampleConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Draws words at random; a picture's samples come likeliest first."""
    rng = np.random.default_rng(config.seed)

    def draw(log_probs: np.ndarray) -> np.ndarray:
        logits = _truncate(log_probs / config.temperature, config.top_k, config.top_p)
        drawn: np.ndarray = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        return drawn

    return _one_by_one(config, stepper, features, config.samples, draw)


def _truncate(logits: np.ndarray, top_k: int | None, top_p: float | None) -> np.ndarray:
    """Makes all but the likeliest words impossible; the likeliest always stays."""
    logits = logits.copy()
    if top_k is not None and top_k < logits.shape[1]:
        kth = np.partition(logits, -top_k, axis=1)[:, -top_k, None]
        logits[logits < kth] = IMPOSSIBLE
    if top_p is not None and top_p < 1:
        order = np.argsort(-logits, axis=1)
        ranked = np.exp(np.take_along_axis(logits, order, axis=1) - logits.max(axis=1, keepdims=True))
        ranked /= ranked.sum(axis=1, keepdims=True)
        beyond = np.cumsum(ranked, axis=1) - ranked >= top_p
        rows, columns = np.nonzero(beyond)
        logits[rows, order[rows, columns]] = IMPOSSIBLE
    return logits


def _one_by_one(
    config: DecodingConfig,
    stepper: Stepper,
    features: Any,
    each: int,
    pick: Callable[[np.ndarray], np.ndarray],
) -> list[list[Hypothesis]]:
    """Extends every row by the picked word until all have ended or are cut; rows never meet."""
    walk = _Walk(stepper, features, each)
    rows = np.arange(len(walk.tokens))
    words = np.full((len(rows), config.max_length), END, np.int32)
    total = np.zeros(len(rows), np.float64)
    ended = np.zeros(len(rows), bool)
    for position in range(config.max_length):
        log_probs = _allowed(walk.advance(), words[:, :position], config)
        word = np.where(ended, END, pick(log_probs))
        total += np.where(ended, 0.0, log_probs[rows, word])
        words[:, position] = word
        ended |= word == END
        if ended.all():
            break
        walk.choose(word)
    found = [_hypothesis(words[row], total[row], total[row], bool(ended[row])) for row in rows]
    return [sorted(found[first : first + each], key=lambda h: -h.score) for first in range(0, len(found), each)]


def _hypothesis(words: np.ndarray, log_probability: float, score: float, ended: bool) -> Hypothesis:
    stop = int(np.argmax(words == END)) if (words == END).any() else len(words)
    return Hypothesis(tuple(int(word) for word in words[:stop]), float(log_probability), float(score), ended)


def beam(config: BeamConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Keeps the K best unfinished captions at every step and the K best finished ones over all steps.

    A candidate that ends counts as finished when it ranks among the K best of its step. A picture is settled when
    its K finished captions all score at least what its best unfinished one would score if it ended now. Captions cut
    at ``max_length`` come after the finished ones.
    """
    pictures, beams = len(features), config.beam_size
    walk = _Walk(stepper, features, beams)
    live = np.full((pictures, beams), IMPOSSIBLE, np.float32)
    live[:, 0] = 0.0  # the beams start alike: one is enough
    words = np.full((pictures, beams, config.max_length), END, np.int32)
    finished = _Finished(pictures, beams, config.max_length)
    picture = np.arange(pictures)[:, None]
    for position in range(config.max_length):
        said = words[:, :, :position].reshape(pictures * beams, position)
        log_probs = _allowed(walk.advance(), said, config).reshape(pictures, beams, -1)
        scores, parents, word = _best(live[:, :, None] + log_probs, 2 * beams)
        ends = word == END
        among_best = np.arange(scores.shape[1]) < beams
        ending = np.where(ends & among_best, scores, IMPOSSIBLE)
        finished.add(ending, ending / (position + 1) ** config.length_penalty, words[picture, parents])
        keep = np.argsort(ends, axis=1, kind="stable")[:, :beams]  # the K best that go on
        live, parents, word = (np.take_along_axis(a, keep, axis=1) for a in (scores, parents, word))
        live = np.where(word == END, IMPOSSIBLE, live)  # a vocabulary smaller than the beam
        words = words[picture, parents]
        words[:, :, position] = word
        if (finished.score[:, -1] >= live[:, 0] / (position + 2) ** config.length_penalty).all():
            break
        walk.choose(word.ravel(), (picture * beams + parents).ravel())
    return [finished.of(row, words[row], live[row], config) for row in range(pictures)]


def _best(total: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scores, beams and words (B, count) of the best entries of (B, K, V), best first."""
    pictures, _, size = total.shape
    flat = total.reshape(pictures, -1)
    count = min(count, flat.shape[1])
    index = np.argpartition(flat, -count, axis=1)[:, -count:]
    scores = np.take_along_axis(flat, index, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    index = np.take_along_axis(index, order, axis=1)
    return np.take_along_axis(scores, order, axis=1), index // size, index % size


class _Finished:
    """The K best finished captions of every picture, best first."""

    def __init__(self, pictures: int, beams: int, length: int) -> None:
        self.beams = beams
        self.score = np.full((pictures, beams), IMPOSSIBLE, np.float32)
        self.log_probability = self.score.copy()
        self.words = np.full((pictures, beams, length), END, np.int32)

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

    def of(self, row: int, cut: np.ndarray, live: np.ndarray, config: BeamConfig) -> list[Hypothesis]:
        """Returns one picture's captions: the finished ones, then cut ones where beams are left over."""
        found = [
            _hypothesis(words, log_probability, score, ended=True)
            for words, log_probability, score in zip(
                self.words[row], self.log_probability[row], self.score[row], strict=True
            )
            if np.isfinite(score)
        ]
        for words, total in zip(cut, live, strict=True):
            if len(found) < self.beams and np.isfinite(total):
                length = int((words != END).sum())
                found.append(_hypothesis(words, total, total / max(length, 1) ** config.length_penalty, ended=False))
        return found or [Hypothesis((), 0.0, 0.0, ended=True)]
