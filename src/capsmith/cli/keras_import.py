"""Imports Keras without the lines that TensorFlow prints while it loads."""

import logging
import os
import sys

from capsmith.core.errors import CapsmithError, one_line


def load_keras() -> None:
    """Imports Keras and its backend with the standard error of C++ code turned off; Python errors still show.

    TensorFlow writes four lines before its own log level counts, which no setting removes, and one where CUDA cannot
    be initialised (cuInit): there ``capsmith doctor`` tells what it found.

    Raises:
        CapsmithError: ``KERAS_BACKEND`` names a backend that is unknown or not installed.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras

        if keras.backend.backend() == "tensorflow":  # its complaint that there is no GPU comes with the first question
            import tensorflow

            tensorflow.config.list_physical_devices()
    except (ImportError, ValueError) as error:
        name = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise CapsmithError(f"cannot load Keras with KERAS_BACKEND={name}: {one_line(error)}") from error
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every new shape in a search
