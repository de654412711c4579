"""Searches as one compiled function each, for a decoder on the device: no word passes through Python.

P images · K beams or samples of an image · N = P · K rows · T longest caption · V vocabulary.

``decoding.py`` and ``beam.py`` say what the searches are, over any stepper and with everything that a config can ask;
these find the same captions where nothing unusual is asked. A step then costs neither a call nor a copy of N × V
numbers, which for one image is most of the time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from capsmith.data.text.vocabulary import END, START
from capsmith.decoding.constraints import IMPOSSIBLE, NEVER
from capsmith.decoding.sampling import block_size

Step = Callable[[Any, Any], tuple[Any, Any]]
"""From the words read (N,) and the rows' state to the next words' log probabilities (N, V) and the state after."""


def beam_loop(
    step: Step, state: list[Any], images: Any, sizes: tuple[int, int], shortest: Any, penalty: Any
) -> tuple[Any, ...]:
    """Keeps the best beams of every image until none can become better than its finished captions.

    An image that has come so far has only impossible beams from then on: what was found stays as it is while other
    images of the batch go on.

    Args:
        step: The decoder's.
        state: Of the rows: tensors with leading axis N.
        images: P.
        sizes: Beams an image, and words of the longest caption.
        shortest: Words before which none ends.
        penalty: Power of the length that a caption's score is divided by.

    Returns:
        Score, log probability and words of the finished captions, (P, K), (P, K) and (P, K, T), best first; and words
        and log probability of those that go on, (P, K, T) and (P, K).
    """
    beams, longest = sizes
    image = ops.arange(images, dtype="int32")[:, None]

    def body(position: Any, _: Any, tokens: Any, live: Any, said: Any, done: tuple[Any, ...], *own: Any) -> Any:
        log_probs, after = step(tokens, own)
        size = log_probs.shape[-1]
        total = ops.reshape(live, (-1, 1)) + _allowed(log_probs, position, shortest)
        scores, index = ops.top_k(ops.reshape(total, (images, beams * size)), min(2, size) * beams)
        index = ops.cast(index, "int32")
        ends = ops.equal(index % size, END)
        ending = ops.where(ends[:, :beams], scores[:, :beams], IMPOSSIBLE)
        by_length = ending / ops.cast(position + 1, "float32") ** penalty
        ended = ops.take(said, image * beams + index[:, :beams] // size, axis=0)
        done = _merged(done, (by_length, ending, ended), beams, image)
        live, keep = ops.top_k(ops.where(ends, IMPOSSIBLE, scores), beams)  # the best that go on
        chosen = ops.take(ops.reshape(index, (-1,)), image * index.shape[1] + ops.cast(keep, "int32"), axis=0)
        rows, word = ops.reshape(image * beams + chosen // size, (-1,)), ops.reshape(chosen % size, (-1,))
        said = ops.where(ops.arange(longest) == position, word[:, None], ops.take(said, rows, axis=0))
        ahead = ops.max(live, axis=1) / ops.cast(position + 2, "float32") ** penalty
        settled = done[0][:, -1] >= ahead
        live = ops.where(settled[:, None], IMPOSSIBLE, live)
        going = ops.logical_not(ops.all(settled))
        return position + 1, going, word, live, said, *done, *(ops.take(tensor, rows, axis=0) for tensor in after)

    def flat(position: Any, going: Any, tokens: Any, live: Any, said: Any, *rest: Any) -> Any:
        return body(position, going, tokens, live, said, rest[:3], *rest[3:])

    nothing = ops.zeros((images, beams), "float32") + IMPOSSIBLE
    ends = ops.zeros((images, beams, longest), "int32") + END
    live = ops.where(ops.arange(beams) == 0, ops.zeros_like(nothing), nothing)  # they start alike: one is enough
    rows = ops.reshape(ends, (-1, longest))
    begun = (rows[:, 0] * 0 + START, live, rows, nothing, nothing, ends)
    *_, live, said, score, total, words = _while(flat, longest, begun, state)[: 3 + 5]
    return score, total, words, ops.reshape(said, ops.shape(words)), live


def row_loop(
    step: Step, state: list[Any], rows: Any, longest: int, shortest: Any, chance: Any, temperature: Any
) -> tuple[Any, ...]:
    """Extends every row by its likeliest word, or by one that chance picks, until all have ended.

    Args:
        step: The decoder's.
        state: Of the rows: tensors with leading axis N.
        rows: N.
        longest: Words at most (T).
        shortest: Words before which none ends.
        chance: Uniform numbers (T, 3, N) that pick the words, see ``sampling``; None takes the likeliest.
        temperature: Of the draw.

    Returns:
        The words (N, T), filled up with ends, and their log probability (N,).
    """

    def body(position: Any, _: Any, tokens: Any, said: Any, total: Any, ended: Any, *own: Any) -> Any:
        log_probs, after = step(tokens, own)
        log_probs = _allowed(log_probs, position, shortest)
        word = ops.argmax(log_probs, axis=-1) if chance is None else _drawn(log_probs / temperature, chance[position])
        word = ops.where(ended, END, ops.cast(word, "int32"))
        gained = ops.take_along_axis(log_probs, word[:, None], axis=1)[:, 0]
        total = total + ops.where(ended, 0.0, gained)
        said = ops.where(ops.arange(longest) == position, word[:, None], said)
        ended = ended | (word == END)
        return position + 1, ops.logical_not(ops.all(ended)), word, said, total, ended, *after

    begun = (
        ops.zeros((rows,), "int32") + START,
        ops.zeros((rows, longest), "int32") + END,
        ops.zeros((rows,), "float32"),
        ops.zeros((rows,), "bool"),
    )
    found = _while(body, longest, begun, state)
    return found[3], found[4], found[5]


def _while(body: Callable[..., Any], longest: int, begun: tuple[Any, ...], state: list[Any]) -> Any:
    """Runs the body until it is not going on, or the longest caption is reached."""
    start = (ops.convert_to_tensor(0, "int32"), ops.convert_to_tensor(True), *begun, *state)
    return ops.while_loop(lambda position, going, *_: going & (position < longest), body, start)


def _allowed(log_probs: Any, position: Any, shortest: Any) -> Any:
    size = log_probs.shape[-1]
    never, end = np.zeros((2, size), np.float32)
    never[list(NEVER)], end[END] = IMPOSSIBLE, IMPOSSIBLE
    early = ops.cast(position, "float32") < shortest
    return log_probs + ops.where(early, ops.convert_to_tensor(never + end), ops.convert_to_tensor(never))


def _drawn(logits: Any, chance: Any) -> Any:
    """Draws a word a row (N,) from logits (N, V) by chances (3, N), as ``sampling.words_drawn`` does."""
    weights = ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
    size = block_size(weights.shape[1])
    cube = ops.reshape(ops.pad(weights, ((0, 0), (0, size**3 - weights.shape[1]))), (-1, size, size * size))
    row = ops.arange(ops.shape(cube)[0], dtype="int32") * size
    first = _first_beyond(ops.sum(cube, axis=2), chance[0])
    block = ops.reshape(ops.take(ops.reshape(cube, (-1, size * size)), row + first, axis=0), (-1, size, size))
    second = _first_beyond(ops.sum(block, axis=2), chance[1])
    third = _first_beyond(ops.take(ops.reshape(block, (-1, size)), row + second, axis=0), chance[2])
    return (first * size + second) * size + third


def _first_beyond(weights: Any, chance: Any) -> Any:
    """Returns the first place (N,) at which the running sum of (N, r) exceeds the chance's share of the whole."""
    reached = ops.cumsum(weights, axis=1)
    return ops.cast(ops.argmax(ops.cast(reached > chance[:, None] * reached[:, -1:], "int32"), axis=1), "int32")


def _merged(one: tuple[Any, ...], two: tuple[Any, ...], count: int, image: Any) -> tuple[Any, ...]:
    """Returns the ``count`` best of two lists of score, log probability and words of captions.

    Each is (P, C), the words (P, C, T); ``image`` numbers them, (P, 1). Numbers are taken from flat lists, which
    costs a third of the operations that taking along an axis does.
    """
    score, total, words = (ops.concatenate(pair, axis=1) for pair in zip(one, two, strict=True))
    score, order = ops.top_k(score, count)
    order = image * words.shape[1] + ops.cast(order, "int32")
    flat = ops.reshape(words, (-1, words.shape[2]))
    return score, ops.take(ops.reshape(total, (-1,)), order, axis=0), ops.take(flat, order, axis=0)
