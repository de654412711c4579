"""Beam search for captions that contain given phrases.

Beams are kept in banks by the number of constraint tokens found, as in grid beam search (Hokamp and Liu 2017). An
Aho-Corasick automaton over the phrases knows which of them a hypothesis has found and how far it is in the others
(constrained beam search: Anderson et al. 2017). All tokens of the phrases are candidates of every beam; any other token
leaves it at the same place, so the best K of them are enough, and no token of the vocabulary is looked at twice.

B images · K beams of a bank · R = banks · K rows · W candidates of a row · V vocabulary · S tokens of the phrases ·
C constraints · T longest caption.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from capsmith.data.text.vocabulary import END, PAD
from capsmith.decoding.constraints import IMPOSSIBLE
from capsmith.decoding.groups import Group, merge_best

Phrase = tuple[int, ...]


class Grid(NamedTuple):
    """The automaton of the phrases.

    Attributes:
        tokens: The end token, then the tokens of the phrases (S,), padded.
        others: Minus infinity at these tokens, else 0 (V,).
        following: State after each of them, and after any other token (states, S + 1).
        found: 1 for constraints that a phrase ending in a state meets (states, C).
        progress: Tokens of each constraint that have been found in a state (states, C).
        weights: Tokens of each constraint (C,).
        continuing: 1 at pieces that continue a word (V,); None if words have one token.
    """

    tokens: Any
    others: Any
    following: Any
    found: Any
    progress: Any
    weights: Any
    continuing: Any


class Marks(NamedTuple):
    """The place of each hypothesis in the automaton.

    Attributes:
        state: The state (B, R).
        met: 1 for constraints that are met (B, R, C).
    """

    state: Any
    met: Any


def make_grid(include: Sequence[Sequence[Phrase]], continuing: frozenset[int], size: int) -> Grid:
    """Returns the automaton of constraints.

    Args:
        include: For each constraint its alternatives.
        continuing: Pieces that continue a word.
        size: V.
    """
    words = sorted({token for alternatives in include for phrase in alternatives for token in phrase})
    starts = {phrase[:end] for one in include for phrase in one for end in range(len(phrase) + 1)}
    states = {start: number for number, start in enumerate(sorted(starts, key=lambda start: (len(start), start)))}
    weights = [max(map(len, alternatives)) for alternatives in include]
    columns, rows, width = _bucket(len(words) + 1), _bucket(len(states)), sum(weights)  # C is at most ``width``
    tokens = np.full(columns, PAD, np.int32)
    tokens[: len(words) + 1] = [END, *words]
    others = np.zeros(size, np.float32)
    others[[END, *words]] = IMPOSSIBLE
    following = np.zeros((rows, columns + 1), np.int32)
    found, progress = np.zeros((rows, width), np.int32), np.zeros((rows, width), np.int32)
    for start, state in states.items():
        for column, word in enumerate(words, 1):
            following[state, column] = states[_longest((*start, word), states)]
        for number, alternatives in enumerate(include):
            found[state, number] = any(start[len(start) - len(p) :] == p for p in alternatives if len(p) <= len(start))
            partial = [n for p in alternatives for n in range(1, len(p)) if start[-n:] == p[:n]]
            progress[state, number] = max(partial, default=0)
    padded = np.zeros(width, np.int32)
    padded[: len(weights)] = weights
    pieces = np.zeros(size, np.float32)
    pieces[sorted(continuing)] = 1
    return Grid(tokens, others, following, found, progress, padded, pieces if continuing else None)


def first_marks(xp: Any, grid: Grid, images: Any, rows: int) -> Marks:
    """Returns the marks before the first token."""
    return Marks(xp.zeros((images, rows), "int32"), xp.zeros((images, rows, grid.weights.shape[0]), "int32"))


def whole_words(xp: Any, grid: Grid, marks: Marks, log_probs: Any) -> Any:
    """Returns log probabilities (B, R, V) without the pieces that would continue an included word."""
    if grid.continuing is None:
        return log_probs
    complete = xp.max(xp.take(grid.found, marks.state, axis=0), axis=2)[:, :, None] > 0
    return xp.where(xp.logical_and(complete, grid.continuing > 0), IMPOSSIBLE, log_probs)


def extend(
    xp: Any,
    grid: Grid,
    group: Group,
    marks: Marks,
    log_probs: Any,
    handicap: Any,
    position: Any,
    penalty: Any,
    image: Any,
) -> tuple[Group, Marks, Any, Any]:
    """Adds one token to every beam of a group; arguments and results as in ``BeamProgram``, and the marks."""
    beams, size, length = group.score.shape[1], log_probs.shape[-1], group.tokens.shape[2]
    rows, columns, banks = group.tokens.shape[1], grid.tokens.shape[0], group.tokens.shape[1] // group.score.shape[1]
    total = group.live[:, :, None] + whole_words(xp, grid, marks, log_probs)
    ranking = total if handicap is None else total - handicap[:, None]
    token, total, rank = _candidates(xp, grid, total, ranking, min(beams, size), image * rows)
    width = token.shape[2]
    other = np.full(width - columns, columns, np.int32)
    column = xp.convert_to_tensor(np.concatenate([other, np.arange(columns, dtype=np.int32)]))
    state = xp.take(xp.reshape(grid.following, (-1,)), marks.state[:, :, None] * (columns + 1) + column, axis=0)
    met = xp.maximum(marks.met[:, :, None], xp.take(grid.found, state, axis=0))
    bank = _bank(xp, grid, state, met)
    complete = _bank(xp, grid, marks.state, marks.met) == banks - 1
    bank = xp.where(token == END, xp.where(complete, banks - 1, -1)[:, :, None], bank)
    # the best 2 K candidates of each bank
    each = xp.arange(banks, dtype="int32")[None, :, None]
    pool = xp.where(
        xp.reshape(bank, (-1, 1, rows * width)) == each, xp.reshape(rank, (-1, 1, rows * width)), IMPOSSIBLE
    )
    rank, place = xp.top_k(xp.reshape(pool, (-1, rows * width)), 2 * beams)
    rank = xp.reshape(rank, (-1, banks * 2 * beams))
    place = image * (rows * width) + xp.reshape(xp.cast(place, "int32"), (-1, banks * 2 * beams))
    token, total = (xp.take(xp.reshape(array, (-1,)), place, axis=0) for array in (token, total))
    total = xp.where(rank == IMPOSSIBLE, IMPOSSIBLE, total)
    history = xp.reshape(group.tokens, (-1, length))
    last = slice((banks - 1) * 2 * beams, (banks - 1) * 2 * beams + beams)  # only they may end
    score = xp.where(token[:, last] == END, total[:, last], IMPOSSIBLE)
    by_length = score / xp.cast(position + 1, "float32") ** penalty
    ended = by_length, score, xp.take(history, place[:, last] // width, axis=0)
    best = merge_best(xp, group[2:], ended, beams, image)
    # the best K unfinished ones of each bank
    unfinished = xp.reshape(xp.where(token == END, IMPOSSIBLE, rank), (-1, 2 * beams))
    keep = xp.reshape(xp.cast(xp.top_k(unfinished, beams)[1], "int32"), (-1, banks, beams))
    keep = xp.reshape(keep + xp.arange(banks, dtype="int32")[None, :, None] * (2 * beams), (-1, rows))
    keep = image * (banks * 2 * beams) + keep
    live = xp.take(xp.reshape(xp.where(token == END, IMPOSSIBLE, total), (-1,)), keep, axis=0)
    token, place = (xp.take(xp.reshape(array, (-1,)), keep, axis=0) for array in (token, place))
    tokens = xp.take(history, place // width, axis=0)
    tokens = xp.where(xp.arange(length) == position, token[:, :, None], tokens)
    flat = xp.reshape(met, (-1, met.shape[3]))
    marks = Marks(xp.take(xp.reshape(state, (-1,)), place, axis=0), xp.take(flat, place, axis=0))
    return Group(live, tokens, *best), marks, place // width - image * rows, token


def _candidates(xp: Any, grid: Grid, total: Any, ranking: Any, count: int, first: Any) -> tuple[Any, Any, Any]:
    """Returns the candidates of each row: token, log probability and rank (B, R, W).

    Args:
        xp: The array namespace.
        grid: The automaton.
        total: Log probabilities (B, R, V).
        ranking: The values that rank them (B, R, V).
        count: Number of candidates besides the tokens of the phrases, which are the last ones.
        first: Number of the first row of each image (B, 1).
    """
    rows, size = total.shape[1:]
    rank, token = xp.top_k(xp.reshape(ranking + grid.others, (-1, size)), count)
    rank, token = xp.reshape(rank, (-1, rows, count)), xp.reshape(xp.cast(token, "int32"), (-1, rows, count))
    token = xp.concatenate([token, xp.zeros_like(token[:, :, :1]) + grid.tokens], axis=2)
    row = (first + xp.arange(rows, dtype="int32"))[:, :, None]
    index = row * size + token
    ranks = xp.take(xp.reshape(ranking, (-1,)), index[:, :, count:], axis=0)
    return token, xp.take(xp.reshape(total, (-1,)), index, axis=0), xp.concatenate([rank, ranks], axis=2)


def _bank(xp: Any, grid: Grid, state: Any, met: Any) -> Any:
    """Returns the number of constraint tokens that have been found, (…) from states (…) and constraints met (…, C)."""
    return xp.sum(xp.where(met > 0, grid.weights, xp.take(grid.progress, state, axis=0)), axis=-1)


def _longest(read: Phrase, states: dict[Phrase, int]) -> Phrase:
    """Returns the longest end of what was read that begins a phrase."""
    return next(read[first:] for first in range(len(read) + 1) if read[first:] in states)


def _bucket(count: int) -> int:
    return 1 << (count - 1).bit_length()
