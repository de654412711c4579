"""Greedy search and random sampling: rows of tokens are extended independently.

B images · N = B · samples rows · T longest caption · V vocabulary.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.chance import draw_tokens, draws
from capsmith.decoding.constraints import IMPOSSIBLE, Limits, allowed
from capsmith.decoding.engine import RowState, Stepper, run
from capsmith.decoding.hypotheses import Hypothesis, hypothesis
from capsmith.decoding.wishes import Wishes

if TYPE_CHECKING:
    from capsmith.decoding.config import GreedyConfig, SampleConfig

_SORTED = 64  # tokens sorted around the border of the top-p set; if more tokens are that close, all V are sorted


@dataclass(frozen=True)
class Sampling:
    """What ``sample`` reads of its settings, for callers that have no ``SampleConfig``; the fields are the same."""

    samples: int
    max_length: int
    min_length: int
    no_repeat: int
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0


def greedy(
    config: "GreedyConfig", stepper: Stepper, features: Any, wishes: Wishes | None = None
) -> list[list[Hypothesis]]:
    """Takes the most probable token at every step."""
    program = RowProgram(1, config.max_length, config.no_repeat, structure=_structure(wishes))
    limits = wishes and wishes.limits
    return _hypotheses(run(program, stepper, features, config.min_length, None, None, None, limits), 1)


def sample(
    config: "SampleConfig | Sampling", stepper: Stepper, features: Any, wishes: Wishes | None = None
) -> list[list[Hypothesis]]:
    """Draws tokens at random; the samples of an image are returned most probable first."""
    top_p = None if config.top_p == 1 else config.top_p
    program = RowProgram(config.samples, config.max_length, config.no_repeat, config.top_k, _structure(wishes))
    chances = draws(config.seed, config.max_length, config.samples, features)
    limits = wishes and wishes.limits
    rows = run(program, stepper, features, config.min_length, chances, config.temperature, top_p, limits)
    return [[replace(h, drawn=True) for h in hypotheses] for hypotheses in _hypotheses(rows, config.samples)]


@dataclass(frozen=True)
class RowProgram:
    """Greedy search and sampling over an array namespace.

    Attributes:
        rows: Rows of each image.
        max_length: T.
        no_repeat: See ``constraints.allowed``.
        top_k: Number of tokens to sample from; None samples from all.
        structure: Sizes of the arrays of ``limits``.
    """

    rows: int
    max_length: int
    no_repeat: int
    top_k: int | None = None
    structure: tuple[int, ...] = ()

    def __call__(
        self,
        xp: Any,
        rows: RowState,
        min_length: Any,
        chances: Any,
        temperature: Any,
        top_p: Any,
        limits: Limits | None = None,
    ) -> tuple[Any, Any, Any]:
        """Extends every row until all have ended.

        Args:
            xp: The array namespace.
            rows: The decoder state.
            min_length: See ``constraints.allowed``.
            chances: Random numbers (T, 3, N) that choose the tokens; None takes the most probable ones.
            temperature: Divides the logits.
            top_p: Probability of the set to sample from; None samples from all tokens.
            limits: See ``constraints.allowed``.

        Returns:
            The tokens (N, T), padded with end tokens, their log probability (N,), and whether rows ended (N,).
        """

        def body(position: Any, _: Any, token: Any, tokens: Any, total: Any, ended: Any, state: Any) -> Any:
            log_probs, state = rows.step(token, state)
            log_probs = allowed(xp, log_probs, tokens, position, min_length, self.no_repeat, limits)
            if chances is None:
                token = xp.cast(xp.argmax(log_probs, axis=-1), "int32")
            else:
                weights = truncated_weights(xp, log_probs / temperature, self.top_k, top_p, ended)
                token = draw_tokens(xp, weights, chances[position])
            token = xp.where(ended, END, token)
            token_log_prob = xp.take_along_axis(log_probs, token[:, None], axis=1)[:, 0]
            total = total + xp.where(ended, 0.0, token_log_prob)
            tokens = xp.where(xp.arange(self.max_length) == position, token[:, None], tokens)
            ended = xp.logical_or(ended, token == END)
            return position + 1, xp.logical_not(xp.all(ended)), token, tokens, total, ended, state

        count = rows.images * self.rows
        variables = (
            xp.convert_to_tensor(0, "int32"),
            xp.convert_to_tensor(True),
            xp.zeros((count,), "int32") + START,
            xp.zeros((count, self.max_length), "int32") + END,
            xp.zeros((count,), "float32"),
            xp.zeros((count,), "bool"),
            rows.state,
        )
        result = xp.while_loop(lambda position, going, *_: going & (position < self.max_length), body, variables)
        return result[3], result[4], result[5]


def _structure(wishes: Wishes | None) -> tuple[int, ...]:
    return () if wishes is None else wishes.structure


def truncated_weights(xp: Any, logits: Any, top_k: int | None, top_p: Any, ignored: Any) -> Any:
    """Returns unnormalised probabilities (N, V), zero for all but the most probable tokens.

    Args:
        xp: The array namespace.
        logits: Logits of the next token (N, V).
        top_k: Number of tokens to keep; None keeps all.
        top_p: Keep the smallest set of tokens with at least this probability; None keeps all.
        ignored: Rows whose result is not used (N,).

    Returns:
        The weights; the largest of each row is 1.
    """
    size = logits.shape[-1]
    ranked = None
    if top_k is not None and top_k < size:
        ranked = xp.top_k(logits, top_k)[0]
        logits = xp.where(logits < ranked[:, -1:], IMPOSSIBLE, logits)
    largest = xp.max(logits, axis=1, keepdims=True)
    weights = xp.exp(logits - largest)
    if top_p is None:
        return weights
    enough = xp.sum(weights, axis=1, keepdims=True) * top_p

    def least_of(ranked: Any, above: Any) -> tuple[Any, Any]:
        """Returns the smallest logit to keep (N, 1), and the cumulative weight of all ranked ones (N, 1)."""
        each = xp.exp(ranked - largest)
        reached = above + xp.cumsum(each, axis=1)
        out = xp.logical_or(reached - each >= enough, ranked == IMPOSSIBLE)
        return xp.min(xp.where(out, np.float32(np.inf), ranked), axis=1, keepdims=True), reached[:, -1:]

    if ranked is None and size > _SORTED:
        low, high, above = _bisect(xp, logits, weights, largest, enough, top_p)
        near = xp.where(xp.logical_and(logits >= low, logits < high), logits, IMPOSSIBLE)
        ranked = xp.top_k(near, _SORTED)[0]
        first, reached = least_of(ranked, above)
        first = xp.minimum(first, high)  # in case rounding leaves no token between the bounds
        complete = xp.logical_or(reached >= enough, ranked[:, -1:] == IMPOSSIBLE)
        complete = xp.all(xp.logical_or(ignored[:, None], complete))
        least = xp.cond(complete, lambda: first, lambda: least_of(xp.top_k(logits, size)[0], 0.0)[0])
    else:
        least = least_of(xp.top_k(logits, size)[0] if ranked is None else ranked, 0.0)[0]
    return weights * xp.cast(logits >= least, "float32")


def _bisect(xp: Any, logits: Any, weights: Any, largest: Any, enough: Any, top_p: Any) -> tuple[Any, Any, Any]:
    """Bounds the smallest logit of the top-p set.

    Sorting all V tokens of every row would take several times as long as the decoder's step.

    Returns:
        ``low``, ``high`` and ``above``, each (N, 1): tokens at or above ``low`` have at least the total weight
        ``enough``; those at or above ``high`` have less, namely ``above``.
    """
    size = logits.shape[-1]
    low = largest + xp.log(enough / top_p * (1.0 - top_p) / size)  # all tokens below have less than 1 - top_p
    high = largest + 1.0
    above = xp.zeros_like(enough)
    for _ in range(max(6, size.bit_length() - 4)):  # until a few dozen tokens are left between them
        middle = (low + high) / 2
        weight = xp.sum(weights * xp.cast(logits >= middle, "float32"), axis=1, keepdims=True)
        meets = weight >= enough
        low, high, above = xp.where(meets, middle, low), xp.where(meets, high, middle), xp.where(meets, above, weight)
    return low, high, above


def _hypotheses(rows: tuple[np.ndarray, np.ndarray, np.ndarray], count: int) -> list[list[Hypothesis]]:
    """Returns the hypotheses of each image, most probable first, from ``count`` rows per image."""
    tokens, total, ended = rows
    flat = [hypothesis(*row) for row in zip(tokens, total, total, ended, strict=True)]
    return [sorted(flat[first : first + count], key=lambda h: -h.score) for first in range(0, len(flat), count)]
