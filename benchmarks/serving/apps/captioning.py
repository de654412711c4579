"""The captioner of the apps, and what they answer. It runs in environments that have only onnxruntime and Pillow."""

import os
from typing import Any


def load() -> Any:
    """Loads the captioner that the variable ``MODEL`` names."""
    model = os.environ["MODEL"]
    if os.path.exists(os.path.join(model, "config.yaml")):
        from capsmith import Captioner

        return Captioner.load(model)
    from capsmith.deploy.runtime import Captioner as Runtime

    return Runtime.load(model)


def answer(caption: Any) -> dict[str, Any]:
    """Returns a caption as plain data."""
    return {
        "caption": caption.text,
        "log_probability": float(caption.log_probability),
        "probabilities": list(caption.probabilities),
    }
