"""Importing Keras without the messages that TensorFlow prints at import."""

import logging
import os
import sys
from importlib.util import find_spec

from capsmith.core.errors import CapsmithError, one_line


def load_keras() -> None:
    """Imports Keras and its backend with the standard error of C++ code turned off. Python errors are still shown.

    TensorFlow prints four lines before its log level takes effect, and one if CUDA cannot be initialised (cuInit); no
    setting removes them. ``capsmith doctor`` reports accelerators.

    Raises:
        CapsmithError: ``KERAS_BACKEND`` names a backend that is unknown or not installed.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    null_device = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        import keras

        if keras.backend.backend() == "tensorflow":  # it reports a missing GPU at the first query
            import tensorflow

            tensorflow.config.list_physical_devices()
    except (ImportError, ValueError) as error:
        name = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise CapsmithError(f"cannot load Keras with KERAS_BACKEND={name}: {one_line(error)}") from error
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null_device)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns about every new shape in a search


def load_keras_for(name: str) -> None:
    """Imports Keras, as ``load_keras``, if a model is named that keras-hub computes and keras-hub is installed.

    Args:
        name: A third-party captioner or a detector, such as ``hub:PRESET``.
    """
    if name.startswith("hub:") and find_spec("keras_hub") is not None:
        load_keras()
