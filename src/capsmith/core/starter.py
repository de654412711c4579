"""The starter: the captioner that comes with capsmith as package data, an export like any other.

Its name is accepted wherever the path of a run is. A file or folder called ``starter`` in the current folder comes
first: name it ``./starter`` to be clear.
"""

import os
from pathlib import Path

from capsmith.core.errors import CheckpointError

STARTER = "starter"
"""Its name."""

STARTER_DATA = Path(__file__).parent.parent / "deploy" / "starter_data"
"""Its folder, part of the package."""


def is_starter(path: str | Path) -> bool:
    """Returns whether a path is the name of the starter, and not of a file or folder that exists."""
    return str(path) == STARTER and not os.path.lexists(path)


def has_starter() -> bool:
    """Returns whether this installation contains the starter."""
    return (STARTER_DATA / "manifest.json").is_file()


def starter_folder() -> Path:
    """Returns the folder of the starter.

    Raises:
        CheckpointError: This installation does not contain it.
    """
    if not has_starter():
        raise CheckpointError(
            f"the starter model is not in this installation ({STARTER_DATA} has no manifest.json): install capsmith's "
            "wheel, or name a run"
        )
    return STARTER_DATA


def model_path(path: str | Path) -> Path:
    """Returns the path of a model: the starter's for its name, any other path unchanged.

    Raises:
        CheckpointError: The starter is named, but is not in this installation.
    """
    return starter_folder() if is_starter(path) else Path(path)
