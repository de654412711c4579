"""Reading ``.npz`` files that somebody may have damaged, or made to do harm."""

from pathlib import Path

import numpy as np

from capsmith.errors import CapsmithError, because, one_line


def read_arrays(path: Path, error: type[CapsmithError], advice: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an ``.npz`` file by name; pickles are refused.

    Args:
        path: The file.
        error: What to raise.
        advice: What to do when it is damaged; ends the message.

    Raises:
        CapsmithError: As ``error``: the file cannot be read, or is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            found = {name: saved[name] for name in saved.files}
        if others := [name for name, value in found.items() if not isinstance(value, np.ndarray)]:
            raise ValueError(f"it holds {others[0]!r}, which is no array")
        return found
    except OSError as cause:
        raise error(f"cannot read {path}: {because(cause, advice)}") from cause
    except Exception as cause:  # zipfile, zlib and NumPy raise whatever a damaged byte leads to
        raise error(f"{path} is damaged: {one_line(cause)}; {advice}") from cause
