"""The fixture ``tiny_embedding``: a joint embedding trained on drawn shapes, once for all tests that only read it."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import shapes

EMBEDDING: dict[str, Any] = {
    "size": 24,
    "image": {"dropout": 0.1},
    "text": {"type": "recurrent", "units": 12, "words": {"size": 12}},
}
TRAINING: dict[str, Any] = {"epochs": 4, "batch_size": 36, "learning_rate": 0.02, "warmup": 0, "checkpoint_every": None}


def embedding_settings(**sections: Any) -> dict[str, Any]:
    """Returns the config of a small joint embedding of the shapes, with changes by section."""
    values = shapes.settings()
    for name in ("decoder", "decoding", "evaluation", "training"):
        values.pop(name, None)
    values |= {"embedding": dict(EMBEDDING), "training": dict(TRAINING), "evaluation": {"after_training": None}}
    for name, change in sections.items():
        values[name] = {**values[name], **change} if isinstance(change, dict) else change
    return values


@pytest.fixture(scope="session")
def tiny_embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a joint embedding of the shapes, trained once; tests must not write to it."""
    from capsmith import load_config, train

    run = tmp_path_factory.mktemp("embedding") / "run"
    train(load_config(embedding_settings()), run)
    return run
