"""Settings of an encoder that is adapted to the words of the shapes."""

import json

from tests.support import shapes
from tests.support.prepared import corpus_of


def settings(folder, **adapt):
    """Returns the config of a frozen random CNN whose last two blocks are trained on the words of the shapes."""
    how = {"output": str(folder / "adapted"), "after": "block3_out", "epochs": 12, "learning_rate": 0.003}
    values = shapes.settings(
        features={"cache": str(folder / "cache")}, training={"epochs": 1}, evaluation={"after_training": None}
    )
    values["encoder"] |= {"output": "grid", "pretrain_on_words": {**how, "batch_size": 12, "min_images": 2, **adapt}}
    values["decoder"] = {"type": "attention", "units": 16, "attention_units": 16, "embedding": {"size": 16}}
    return values


def scores(folder):
    return json.loads((folder / "adapted" / "adapted.json").read_text())["scores"]


def asked(config):
    return config, corpus_of(config)
