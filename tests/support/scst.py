"""Self-critical batches of a captioner that has learned a little, so that its samples are often wrong."""

import functools
from pathlib import Path
from typing import Any

from capsmith import Captioner
from capsmith.config import load_config
from capsmith.data.records import Record
from capsmith.data.sources import TrainingSource
from capsmith.data.text.vocabulary import PAD, START
from capsmith.training.fit import train
from capsmith.training.sampled_batches import SampledBatches
from tests.support import shapes
from tests.support.prepared import prepare_splits

STAGE_ONE = {"decoder": {"units": 32}, "training": {"epochs": 8}, "evaluation": {"after_training": None}}
STAGE_TWO = {"objective": "scst", "learning_rate": 1e-3, "warmup": 0, "batch_size": 20, "epochs": 8}


@functools.cache
def stage_one() -> Path:
    """Returns the run of the captioner, trained once."""
    run = shapes.workplace() / "scst" / "stage_one"
    run.parent.mkdir()
    patches = str(shapes.save_patches(run.parent / "patches.keras"))
    encoder = {"type": "custom", "weights": patches, "preprocess": "tf"}
    train(load_config(shapes.settings(encoder=encoder, **STAGE_ONE)), run)
    return run


def settings(run: Path, dropout: float = 0.0, **training: Any) -> dict[str, Any]:
    """Returns the config of a self-critical training that starts from a run, which need not exist."""
    config = run / "config.yaml"
    values = load_config(config).model_dump(mode="json") if config.exists() else shapes.settings(**STAGE_ONE)
    values["decoder"]["dropout"] = dropout
    values["training"] = {**values["training"], **STAGE_TWO, "resume_weights_from": str(run), **training}
    return values


def batches(dropout: float = 0.0, **training: Any) -> tuple[SampledBatches, dict[int, Record]]:
    """Returns the batches of stage one's captioner, and its training images by row."""
    config = load_config(settings(stage_one(), dropout, **training))
    captioner = Captioner.load(stage_one()).with_config(config)
    prepared = prepare_splits(config, "train")
    records = prepared.split("train")
    sampled = SampledBatches(captioner, TrainingSource(prepared.source), records)
    return sampled, dict(zip((int(row) for row in sampled.rows), records, strict=True))


def read(sampled: SampledBatches, index: int) -> tuple[dict[str, Any], list[list[int]]]:
    """Returns the inputs of a batch and the caption of each row, as token ids."""
    inputs, targets = sampled[index]
    captions = []
    for tokens, row_targets in zip(inputs["tokens"], targets, strict=True):
        caption = row_targets[row_targets != PAD]
        assert tokens[0] == (START if len(caption) else PAD)
        assert (tokens[1 : len(caption)] == caption[:-1]).all()
        captions.append(caption.tolist())
    return inputs, captions
