"""Hypotheses: the captions that a search returns.

N rows · T longest caption.
"""

from dataclasses import dataclass

import numpy as np

from capsmith.core.errors import PluginError
from capsmith.data.text.vocabulary import END


@dataclass(frozen=True)
class Hypothesis:
    """A caption that a search returned.

    Attributes:
        tokens: Token ids without start and end.
        log_probability: Sum over the tokens, and over the end token if the caption has ended.
        score: The value by which the search or the reranker ranked it.
        ended: False if the caption was truncated at the maximum length.
        drawn: Whether it is a random sample.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    ended: bool
    drawn: bool = False


def hypothesis(tokens: np.ndarray, log_probability: float, score: float, ended: bool) -> Hypothesis:
    """Returns the tokens (T,) of one row, up to the first end token, as a hypothesis."""
    stop = int(np.argmax(tokens == END)) if (tokens == END).any() else len(tokens)
    return Hypothesis(tuple(tokens[:stop].tolist()), float(log_probability), float(score), bool(ended))


def require_hypotheses(returned: object, images: int, name: str) -> None:
    """Checks the result of a plugin's search.

    Raises:
        PluginError: It is not a list of hypotheses for each image.
    """
    required = "a list of one or more Hypothesis objects for each image is needed"
    if not isinstance(returned, list) or len(returned) != images:
        kind = f"{len(returned)} lists for {images} images" if isinstance(returned, list) else type(returned).__name__
        raise PluginError(f"decoding '{name}' returned {kind}: {required}")
    for hypotheses in returned:
        valid = isinstance(hypotheses, list) and hypotheses and all(isinstance(h, Hypothesis) for h in hypotheses)
        if not valid:
            raise PluginError(f"decoding '{name}' returned {hypotheses!r:.60} for an image: {required}")


def require_known_tokens(hypotheses: list[list[Hypothesis]], vocabulary_size: int, name: str) -> None:
    """Checks the tokens that a plugin's search returned.

    Raises:
        PluginError: A token is not in a vocabulary of this size.
    """
    for token in (token for ranked in hypotheses for one in ranked for token in one.tokens):
        if not isinstance(token, int | np.integer) or not 0 <= token < vocabulary_size:
            raise PluginError(
                f"decoding '{name}' returned token {token!r:.20}: ids are integers from 0 to {vocabulary_size - 1}"
            )
