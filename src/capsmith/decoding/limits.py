"""How many images a search may take at once, so that its memory has a bound whatever the settings are.

V vocabulary · T words · K captions of an image that are searched side by side.
"""

from capsmith.core.errors import ConfigError
from capsmith.decoding.search import DecodingConfig

_NUMBERS = 100_000_000  # held at once, of 4 bytes; several copies of them are made in a step
_COPIES = 4  # of each caption's words: going on and finished, before and after a step


def images_at_once(decoding: DecodingConfig, words: int, most: int, captioners: int = 1) -> int:
    """Returns how many images may be searched together: ``most``, or fewer where that takes too much memory.

    A step holds a number for each word of the vocabulary, for each caption that is searched, for each captioner.

    Args:
        decoding: The search.
        words: V.
        most: How many are asked for.
        captioners: How many write together.

    Raises:
        ConfigError: The search of one image alone would take too much.
    """
    rows = max(1, *decoding.rows.values()) if decoding.rows else 1
    each = captioners * words + _COPIES * decoding.max_length
    if rows * each > _NUMBERS:
        name = max(decoding.rows, key=lambda key: decoding.rows[key])
        raise ConfigError(
            f"decoding.{name} {rows:,}, over {words:,} words and up to {decoding.max_length:,} of them in a caption, "
            f"would take about {rows * each * 16 / 1e9:,.0f} GB for one image: take {_NUMBERS // each:,} at most"
        )
    return max(1, min(most, _NUMBERS // (rows * each)))
