"""Which words a search may not say next.

N rows · t words so far · V vocabulary.
"""

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK

IMPOSSIBLE = np.float32(-np.inf)
NEVER = (PAD, UNK, START)
"""Words that no caption has."""


def allowed(log_probs: np.ndarray, words: np.ndarray, min_length: int, no_repeat: int) -> np.ndarray:
    """Returns a copy of the next word's log probabilities with what may not be said at minus infinity.

    Args:
        log_probs: (N, V).
        words: What each row has said so far, (N, t).
        min_length: The end token is not allowed before so many words.
        no_repeat: No run of so many words may come a second time in a row's sentence; 0 allows all.
    """
    log_probs = np.array(log_probs, dtype=np.float32)
    log_probs[:, NEVER] = IMPOSSIBLE
    if words.shape[1] < min_length:
        log_probs[:, END] = IMPOSSIBLE
    if no_repeat:
        rows, banned = _repeats(words, no_repeat)
        log_probs[rows, banned] = IMPOSSIBLE
    return log_probs


def _repeats(words: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows, and for each a word that would complete a run of ``size`` words that the row has said before."""
    starts = words.shape[1] - size + 1  # of the runs that were said
    if starts < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    tail = words[:, words.shape[1] - size + 1 :]
    same = np.ones((len(words), starts), bool)
    for offset in range(size - 1):
        same &= words[:, offset : offset + starts] == tail[:, offset, None]
    rows, first = np.nonzero(same)
    completing = words[rows, first + size - 1]
    said = completing != END  # a finished row is filled up with ends
    return rows[said], completing[said]
