"""Names of third-party captioners: a prefix, and what follows it. It imports nothing heavy."""

import os
from pathlib import Path

PREFIXES = {
    "blip": "capsmith.models.external.blip:load_blip",
    "hub": "capsmith.models.external.hub:load_hub",
    "exec": "capsmith.models.external.program:load_program",
}
"""What loads the engine of each prefix, given what follows the colon."""


def is_external(name: str | Path) -> bool:
    """Returns whether a name has one of the prefixes, such as ``blip:FOLDER``, and is no file of this name."""
    prefix, colon, _ = str(name).partition(":")
    return bool(colon) and prefix in PREFIXES and not os.path.exists(name)


def model_argument(argument: str) -> str | Path:
    """Returns an argument of a command line: a path, or unchanged if it is the name of a third-party captioner."""
    return argument if is_external(argument) else Path(argument)
