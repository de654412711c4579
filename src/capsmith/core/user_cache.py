"""The folder for results that can be computed again, one for each user of the machine."""

import os
from pathlib import Path


def user_cache() -> Path | None:
    """Returns ``$XDG_CACHE_HOME/capsmith``, by default ``~/.cache/capsmith``; it need not exist.

    A relative ``XDG_CACHE_HOME`` is ignored, as the XDG Base Directory Specification requires. None if the user has no
    home.
    """
    stated = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(stated):
        return Path(stated) / "capsmith"
    try:
        return Path.home() / ".cache" / "capsmith"
    except RuntimeError:
        return None
