"""Imports Keras without the lines that TensorFlow prints while it loads."""

import os
import sys


def load_keras() -> None:
    """Imports Keras and its backend with the standard error of C++ code turned off; Python errors still show.

    TensorFlow writes four lines before its own log level counts, which no setting removes.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
