"""Search for captions over the decoder protocol: what all searches share, greedy, sampling (``beam.py`` has the beam).

B images · K beams (or samples) · N = B · K rows · V vocabulary. The search is NumPy and knows no decoder: it asks
a ``Stepper`` for log probabilities and tells it which rows live on. Pad, start and unknown are never emitted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field, model_validator

from capsmith.core.errors import PluginError
from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.constraints import IMPOSSIBLE, allowed
from capsmith.decoding.sampling import draws, words_drawn

_LONGEST = 10_000  # words of a caption: more than any, and few enough to wait for
_WORDS = 4_000_000  # of all captions that are kept of one image while it is searched


class Stepper(Protocol):
    """A decoder, ready to be searched."""

    def start(self, features: Any) -> Any:
        """Returns the state for B images, before the first word."""

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Reads a word a row.

        Args:
            tokens_N: The words, int32.
            parents_N: For each row, the row of ``state`` that it continues, of the same image; after ``start`` the
                image itself. The rows of an image stand together, and every image has as many.
            state: From ``start`` or from the step before.

        Returns:
            Log probabilities (N, V) of the next word, and the state after this one.
        """


class DecodingConfig(Settings):
    """What every search shares."""

    type: str
    """``greedy``, ``beam`` or ``sample``."""
    max_length: int = Field(default=30, ge=1, le=_LONGEST)
    """Longest caption in tokens, the end token not counted."""
    min_length: int = Field(default=1, ge=0, le=_LONGEST)
    """The end token is not allowed before so many words."""
    no_repeat: int = Field(default=0, ge=0, le=_LONGEST)
    """No run of so many words comes twice in a caption (3: Paulus et al. 2018); 0 allows all."""

    @property
    def rows(self) -> dict[str, int]:
        """How many captions of an image are searched side by side, by the settings that say so."""
        return {}

    @model_validator(mode="after")
    def _lengths(self) -> "DecodingConfig":
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        if sum(self.rows.values()) * self.max_length > _WORDS:
            captions = " + ".join(f"{name} {count:,}" for name, count in self.rows.items())
            raise ValueError(
                f"{captions} captions of max_length {self.max_length:,} are more than {_WORDS:,} words for one image: "
                "lower one of them"
            )
        return self


DECODINGS = Registry("decoding", DecodingConfig)


@DECODINGS.register("capsmith.decoding.search:greedy")
class GreedyConfig(DecodingConfig):
    """The likeliest word at every step."""

    type: Literal["greedy"] = "greedy"


@DECODINGS.register("capsmith.decoding.beam:beam")
class BeamConfig(DecodingConfig):
    """Beam search."""

    type: Literal["beam"] = "beam"
    beam_size: int = Field(default=5, ge=1, le=10_000)
    """Beams kept (K), and captions returned at most."""
    length_penalty: float = Field(default=0.7, ge=0, le=10)
    """A caption's score is its log probability over its length to this power; 0 favours short captions."""
    groups: int = Field(default=1, ge=1)
    """Diverse beam search: the beams form so many groups, which are to say other words than the groups before."""
    diversity: float = Field(default=0.5, ge=0, le=1e6)
    """Only for groups: taken from a word's log probability for every beam before that chose it at this step."""

    @property
    def rows(self) -> dict[str, int]:
        """The beams."""
        return {"beam_size": self.beam_size}

    @model_validator(mode="after")
    def _whole_groups(self) -> "BeamConfig":
        if self.beam_size % self.groups:
            raise ValueError(f"beam_size {self.beam_size} cannot be split into {self.groups} groups")
        return self


@DECODINGS.register("capsmith.decoding.search:sample")
class SampleConfig(DecodingConfig):
    """Random captions."""

    type: Literal["sample"] = "sample"
    samples: int = Field(default=1, ge=1, le=100_000)
    """Captions an image."""
    temperature: float = Field(default=1.0, ge=1e-4, le=1e4)
    """Below 1 is safer, above 1 wilder."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw from the k likeliest words alone."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the fewest words that hold this much probability (Holtzman et al. 2020)."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Another seed, other captions; the same seed draws the same captions of an image in any batch."""

    @property
    def rows(self) -> dict[str, int]:
        """The samples."""
        return {"samples": self.samples}


@dataclass(frozen=True)
class Hypothesis:
    """One caption that a search found.

    Attributes:
        tokens: Word ids without start and end.
        log_probability: Sum over the words, and over the end token when the sentence ended.
        score: What the search ranked by.
        ended: False when it was cut at the longest length.
        drawn: Whether it is a random sample, and so stands for how probable it is by how often it comes.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    ended: bool
    drawn: bool = False


def at_once(stepper: Stepper, features: Any, config: DecodingConfig) -> list[list[Hypothesis]] | None:
    """Lets a stepper that can run a search of its own do so; None when it cannot, or not this one."""
    whole = getattr(stepper, "at_once", None)
    found: list[list[Hypothesis]] | None = whole(features, config) if whole else None
    return found


def search(stepper: Stepper, features: Any, config: DecodingConfig) -> list[list[Hypothesis]]:
    """Finds captions for a batch of images.

    Args:
        stepper: The model.
        features: What ``stepper.start`` takes of B images: (B, D) or (B, L, D); its length is B.
        config: The settings of a registered search.

    Returns:
        For each image its hypotheses, best first; at least one.
    """
    found: list[list[Hypothesis]] = DECODINGS.build(config, stepper, features)
    if DECODINGS.settings.is_external(config.type):
        _require_hypotheses(found, len(features), config.type)
    return found


def _require_hypotheses(found: Any, images: int, name: str) -> None:
    """Checks what a search from outside found.

    Raises:
        PluginError: It is not a list of hypotheses for each image.
    """
    wanted = "a list of one Hypothesis or more for each image is needed"
    if not isinstance(found, list) or len(found) != images:
        given = f"{len(found)} lists for {images} images" if isinstance(found, list) else type(found).__name__
        raise PluginError(f"decoding '{name}' returned {given}: {wanted}")
    for some in found:
        if not isinstance(some, list) or not some or not all(isinstance(one, Hypothesis) for one in some):
            raise PluginError(f"decoding '{name}' returned {some!r:.60} for an image: {wanted}")


def require_known_words(found: list[list[Hypothesis]], size: int, name: str) -> None:
    """Checks the words that a search from outside found.

    Raises:
        PluginError: One is not in a vocabulary of this size.
    """
    for word in (word for some in found for one in some for word in one.tokens):
        if not isinstance(word, int | np.integer) or not 0 <= word < size:
            raise PluginError(f"decoding '{name}' found word {word!r:.20}: ids are whole numbers from 0 to {size - 1}")


class Walk:
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
    if (found := at_once(stepper, features, config)) is not None:
        return found
    return _one_by_one(config, stepper, features, 1, lambda log_probs, _: log_probs.argmax(axis=1))


def sample(config: SampleConfig, stepper: Stepper, features: Any) -> list[list[Hypothesis]]:
    """Draws words at random; an image's samples come likeliest first."""

    def draw(log_probs: np.ndarray, position: int) -> np.ndarray:
        logits = _truncate(log_probs / config.temperature, config.top_k, config.top_p)
        return words_drawn(np.exp(logits - logits.max(axis=1, keepdims=True)), chances[position])

    if (found := at_once(stepper, features, config)) is None:
        chances = draws(config.seed, config.max_length, config.samples, features)
        found = _one_by_one(config, stepper, features, config.samples, draw)
    return [[replace(hypothesis, drawn=True) for hypothesis in some] for some in found]


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
    pick: Callable[[np.ndarray, int], np.ndarray],
) -> list[list[Hypothesis]]:
    """Extends every row by the picked word until all have ended or are cut; rows never meet."""
    walk = Walk(stepper, features, each)
    rows = np.arange(len(walk.tokens))
    words = np.full((len(rows), config.max_length), END, np.int32)
    total = np.zeros(len(rows), np.float64)
    ended = np.zeros(len(rows), bool)
    for position in range(config.max_length):
        log_probs = allowed(walk.advance(), words[:, :position], config.min_length, config.no_repeat)
        word = np.where(ended, END, pick(log_probs, position))
        total += np.where(ended, 0.0, log_probs[rows, word])
        words[:, position] = word
        ended |= word == END
        if ended.all():
            break
        walk.choose(word)
    return rows_found(words, total, ended, each)


def rows_found(words: np.ndarray, total: np.ndarray, ended: np.ndarray, each: int) -> list[list[Hypothesis]]:
    """Returns the captions of each image, likeliest first, from those of its rows.

    Args:
        words: (N, T), filled up with ends.
        total: Log probabilities (N,).
        ended: Whether a row said its end (N,).
        each: Rows an image.
    """
    found = [hypothesis(*row) for row in zip(words, total, total, ended, strict=True)]
    return [sorted(found[first : first + each], key=lambda h: -h.score) for first in range(0, len(found), each)]


def hypothesis(words: np.ndarray, log_probability: float, score: float, ended: bool) -> Hypothesis:
    """Returns a row's words (T,) up to its end token as a hypothesis."""
    stop = int(np.argmax(words == END)) if (words == END).any() else len(words)
    return Hypothesis(tuple(words[:stop].tolist()), float(log_probability), float(score), bool(ended))
