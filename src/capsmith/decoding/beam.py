"""Beam search, plain or in diverse groups.

B images · K beams of a group · G groups · N = B · G · K rows · T longest caption · V vocabulary.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.constraints import IMPOSSIBLE, Limits, allowed
from capsmith.decoding.engine import RowState, Stepper, run
from capsmith.decoding.grid import Grid, Marks, extend, first_marks
from capsmith.decoding.groups import Group, merge_best
from capsmith.decoding.hypotheses import Hypothesis, hypothesis
from capsmith.decoding.wishes import Wishes

if TYPE_CHECKING:
    from capsmith.decoding.config import BeamConfig


@dataclass(frozen=True)
class Beams:
    """What ``beam`` reads of its settings, for callers that have no ``BeamConfig``; the fields are the same."""

    beam_size: int
    max_length: int
    min_length: int
    no_repeat: int
    length_penalty: float = 0.7
    groups: int = 1
    diversity: float = 0.5


def beam(
    config: "BeamConfig | Beams", stepper: Stepper, features: Any, wishes: Wishes | None = None
) -> list[list[Hypothesis]]:
    """Keeps the K best unfinished hypotheses at every step, and the K best finished ones of all steps.

    A hypothesis that ends is finished if it ranks among the K best of its step. The search of an image stops when its
    K finished hypotheses all score at least as much as its best unfinished one would if it ended now. The captions of
    an image therefore do not depend on how long the search of other images in the batch takes. With several groups,
    this is diverse beam search with the Hamming distance (Vijayakumar et al. 2018). Each group stops independently,
    and no longer affects the groups after it once it has stopped.

    With words to include, a group has K beams for each number of constraint tokens found; see ``grid``.
    """
    beams = config.beam_size // config.groups
    program = BeamProgram(config.groups, beams, config.max_length, config.no_repeat)
    arrays: tuple[Limits | None, Grid | None] = (None, None)
    if wishes is not None:
        program = replace(program, banks=wishes.banks, structure=wishes.structure)
        arrays = wishes.limits, wishes.grid
    penalty = config.length_penalty
    groups = run(program, stepper, features, config.min_length, penalty, config.diversity, *arrays)
    return [
        _merge_groups([_hypotheses(Group(*(array[image] for array in group)), penalty) for group in groups])
        for image in range(len(features))
    ]


@dataclass(frozen=True)
class BeamProgram:
    """Beam search over an array namespace; see ``beam``.

    Attributes:
        groups: G.
        beams: K.
        max_length: T.
        no_repeat: See ``constraints.allowed``.
        banks: Number of banks; 1 without words to include.
        structure: Sizes of the arrays in the last two arguments.
    """

    groups: int
    beams: int
    max_length: int
    no_repeat: int
    banks: int = 1
    structure: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Rows of a group."""
        return self.banks * self.beams

    @property
    def rows(self) -> int:
        """Rows of all groups."""
        return self.groups * self.width

    def __call__(
        self,
        xp: Any,
        rows: RowState,
        min_length: Any,
        penalty: Any,
        diversity: Any,
        limits: Limits | None = None,
        grid: Grid | None = None,
    ) -> tuple[Group, ...]:
        """Returns the groups after the search."""
        images = rows.images
        image = xp.arange(images, dtype="int32")[:, None]

        def body(position: Any, _: Any, tokens: Any, groups: tuple[Group, ...], marks: Any, state: Any) -> Any:
            log_probs, state = rows.step(tokens, state)
            chosen = xp.concatenate([group.tokens for group in groups], axis=1) if self.groups > 1 else groups[0].tokens
            log_probs = allowed(
                xp, log_probs, xp.reshape(chosen, (-1, self.max_length)), position, min_length, self.no_repeat, limits
            )
            size = log_probs.shape[-1]
            by_group = xp.reshape(log_probs, (images, *((self.groups,) if self.groups > 1 else ()), self.width, size))
            used: Any = None
            extended, parents, unfinished = [], [], False
            marked: tuple[Marks, ...] = ()
            for number, group in enumerate(groups):
                group_log_probs = by_group[:, number] if self.groups > 1 else by_group
                handicap = None if used is None else diversity * used
                step = group_log_probs, handicap, position, penalty, image
                if grid is None:
                    group, parent, token = self._extend(xp, group, *step)
                else:
                    group, after, parent, token = extend(xp, grid, group, marks[number], *step)
                    marked += (after,)
                if number + 1 < self.groups:
                    count = _count_used(xp, group.live, token, size)
                    used = count if used is None else used + count
                group, settled = _settle(xp, group, position, penalty)
                extended.append(group)
                parents.append(image * self.rows + number * self.width + parent)
                unfinished = xp.logical_not(xp.all(settled)) | unfinished
                tokens = token if number == 0 else xp.concatenate([tokens, token], axis=1)
            flat = xp.reshape(xp.concatenate(parents, axis=1), (-1,))
            state = rows.reorder(state, flat)
            return position + 1, unfinished, xp.reshape(tokens, (-1,)), tuple(extended), marked, state

        def beams(count: int) -> tuple[Any, Any]:
            none = xp.zeros((images, count), "float32") + IMPOSSIBLE
            return none, xp.zeros((images, count, self.max_length), "int32") + END

        none, ends = beams(self.beams)
        live, words = (none, ends) if grid is None else beams(self.width)
        live = xp.where(
            xp.arange(self.width) == 0, xp.zeros_like(live), live
        )  # all beams start equal, so only one may continue
        groups = (Group(live, words, none, none, ends),) * self.groups
        marks = () if grid is None else (first_marks(xp, grid, images, self.width),) * self.groups
        tokens = xp.zeros((images * self.rows,), "int32") + START
        start = xp.convert_to_tensor(0, "int32"), xp.convert_to_tensor(True), tokens, groups, marks, rows.state
        result = xp.while_loop(lambda position, unfinished, *_: unfinished & (position < self.max_length), body, start)
        if grid is None:
            return tuple(result[3])
        last = self.width - self.beams  # the rows that have found everything
        return tuple(group._replace(live=group.live[:, last:], tokens=group.tokens[:, last:]) for group in result[3])

    def _extend(
        self, xp: Any, group: Group, log_probs: Any, handicap: Any, position: Any, penalty: Any, image: Any
    ) -> tuple[Group, Any, Any]:
        """Adds one token to every beam of a group.

        Args:
            xp: The array namespace.
            group: The beams.
            log_probs: Of the next token (B, K, V).
            handicap: Subtracted from log probabilities for ranking only (B, V); None subtracts nothing.
            position: Number of tokens already chosen.
            penalty: The length penalty.
            image: Index of each image (B, 1).

        Returns:
            The group, the beam (B, K) that each beam continues, and its new token (B, K).
        """
        beams, size = self.beams, log_probs.shape[-1]
        total = group.live[:, :, None] + log_probs
        flat = xp.reshape(total, (-1, beams * size))
        count = min(2, size) * beams
        ranking = flat if handicap is None else xp.reshape(total - handicap[:, None], (-1, beams * size))
        ranks, index = xp.top_k(ranking, count)
        index = xp.cast(index, "int32")
        scores = ranks if handicap is None else xp.take(xp.reshape(flat, (-1,)), image * beams * size + index, axis=0)
        ends = index % size == END
        score = xp.where(ends[:, :beams], scores[:, :beams], IMPOSSIBLE)
        by_length = score / xp.cast(position + 1, "float32") ** penalty
        history = xp.reshape(group.tokens, (-1, self.max_length))
        ended = by_length, score, xp.take(history, image * beams + index[:, :beams] // size, axis=0)
        best = merge_best(xp, group[2:], ended, beams, image)
        live, keep = xp.top_k(xp.where(ends, IMPOSSIBLE, ranks), beams)  # the best unfinished ones
        keep = image * count + xp.cast(keep, "int32")
        if handicap is not None:
            live = xp.take(xp.reshape(xp.where(ends, IMPOSSIBLE, scores), (-1,)), keep, axis=0)
        chosen = xp.take(xp.reshape(index, (-1,)), keep, axis=0)
        parent, token = chosen // size, chosen % size
        tokens = xp.take(history, image * beams + parent, axis=0)
        tokens = xp.where(xp.arange(self.max_length) == position, token[:, :, None], tokens)
        return Group(live, tokens, *best), parent, token


def _count_used(xp: Any, live: Any, token: Any, size: int) -> Any:
    """Returns how many of the unfinished beams (B, K) chose each token, (B, V)."""
    counts = xp.cast(xp.isfinite(live), "float32")[:, :, None]
    return xp.sum(xp.cast(xp.one_hot(token, size), "float32") * counts, axis=1)


def _settle(xp: Any, group: Group, position: Any, penalty: Any) -> tuple[Group, Any]:
    """Stops the search of images whose finished hypotheses are at least as good as the unfinished ones would be.

    Their beams become impossible, so later steps change nothing. Returns the group, and which images stopped (B,).
    """
    ahead = xp.max(group.live, axis=1) / xp.cast(position + 2, "float32") ** penalty
    settled = group.score[:, -1] >= ahead
    return group._replace(live=xp.where(settled[:, None], IMPOSSIBLE, group.live)), settled


def _hypotheses(group: Group, penalty: float) -> list[Hypothesis]:
    """Returns the hypotheses of one image (arrays without B): finished ones, then truncated ones up to K."""
    finished = np.isfinite(group.score)
    columns = group.finished[finished], group.log_probability[finished], group.score[finished]
    hypotheses = [hypothesis(*row, ended=True) for row in zip(*columns, strict=True)]
    for tokens, total in zip(group.tokens, group.live, strict=True):
        if len(hypotheses) < len(group.score) and np.isfinite(total):
            length = int((tokens != END).sum())
            hypotheses.append(hypothesis(tokens, total, total / max(length, 1) ** penalty, ended=False))
    return hypotheses or [Hypothesis((), 0.0, 0.0, ended=True)]


def _merge_groups(groups: list[list[Hypothesis]]) -> list[Hypothesis]:
    """Returns the distinct hypotheses of all groups, best first, truncated ones last."""
    if len(groups) == 1:
        return groups[0]
    distinct = {h.tokens: h for group in reversed(groups) for h in group}
    return sorted(distinct.values(), key=lambda h: (not h.ended, -h.score))
