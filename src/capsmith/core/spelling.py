"""Names as people write them: comparison without case and dashes, and the nearest valid spelling for messages."""

from collections.abc import Iterable


def folded(word: str) -> str:
    """Returns a name in lower case, without dashes, underscores, dots and spaces."""
    return "".join(c for c in word.casefold() if c.isalnum())


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` with the closest allowed word, or an empty string."""
    import difflib

    close = difflib.get_close_matches(str(word), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
