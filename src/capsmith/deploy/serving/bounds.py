"""Bounds of the search options of a request, which keep the cost of one image small.

They hold besides the rules of each search. No option names a file or a reranker.
"""

from collections.abc import Mapping
from typing import Any

from capsmith.core.errors import ConfigError
from capsmith.core.spelling import nearest

SEARCHES = ("greedy", "beam", "sample")
MAX_ALTERNATIVES, MAX_LENGTH, MAX_PREFIX = 10, 60, 200
MAX_WORDS, MAX_WORD = 20, 100
NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "beam_size": (int, 1, MAX_ALTERNATIVES),
    "n": (int, 1, MAX_ALTERNATIVES),
    "length_penalty": (float, 0, 10),
    "min_length": (int, 0, MAX_LENGTH),
    "max_length": (int, 1, MAX_LENGTH),
    "no_repeat": (int, 0, MAX_LENGTH),
    "temperature": (float, 0.01, 100),
    "top_k": (int, 1, 100_000),
    "top_p": (float, 0.001, 1),
    "seed": (int, 0, 2**32 - 1),
}
"""Options that are numbers: type, least and most."""
WORDS = ("include", "exclude")
"""Options that are lists of words."""
OPTIONS = ("search", *NUMBERS, "prefix", *WORDS)
"""All options."""


def check_bounds(options: Mapping[str, Any]) -> None:
    """Checks the options of a request.

    Raises:
        ConfigError: One is unknown, has the wrong type, or is out of bounds; the message begins with its name.
    """
    for name, value in options.items():
        if name not in OPTIONS:
            raise ConfigError(f"{name[:40]}: there is no such option{nearest(name, OPTIONS)}")
        if name == "search" and value not in SEARCHES:
            raise ConfigError(f"search: {value!r:.40} is not one of {', '.join(SEARCHES)}")
        if name in NUMBERS:
            _check_number(name, value)
        elif name == "prefix" and not (isinstance(value, str) and len(value) <= MAX_PREFIX):
            raise ConfigError(f"prefix: a text of up to {MAX_PREFIX} characters")
        elif name in WORDS and not _are_words(value):
            raise ConfigError(f"{name}: up to {MAX_WORDS} words or phrases of up to {MAX_WORD} characters each")


def _check_number(name: str, value: Any) -> None:
    kind, least, most = NUMBERS[name]
    right = type(value) is int or (kind is float and type(value) is float)
    if not right or not least <= value <= most:
        raise ConfigError(f"{name}: {'an integer' if kind is int else 'a number'} from {least:g} to {most:,}")


def _are_words(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) <= MAX_WORDS
        and all(isinstance(word, str) and 0 < len(word) <= MAX_WORD for word in value)
    )
