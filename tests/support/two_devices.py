"""Trains on one and on two CPU devices, in a process of its own, and prints the losses as JSON.

    python -m tests.support.two_devices FOLDER DROPOUT

A training that is interrupted on two devices goes on with one.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    import tensorflow as tf

    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)

from capsmith.config import load_config  # noqa: E402
from capsmith.training.fit import train  # noqa: E402
from capsmith.training.objective import Objective  # noqa: E402
from tests.support import shapes  # noqa: E402

_BATCHES = 4  # before the interruption


def losses(run: Path, distribute: str, resume: bool = False, **sections: Any) -> list[float]:
    """Trains, and returns the loss of each epoch."""
    training = {"epochs": 2, **sections.pop("training", {}), "distribute": distribute}
    values = shapes.settings(training=training, evaluation={"after_training": None}, **sections)
    if "type" in sections["decoder"]:
        values["decoder"] = sections["decoder"]
    train(load_config(values), run, resume)
    lines = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    return [float(line[lines[0].index("loss")]) for line in lines[1:]]


def interrupted(run: Path, **sections: Any) -> list[float]:
    """Interrupts a training on two devices within its first epoch; returns the losses after one device finished it."""
    weight, seen = Objective.weight, []

    def counted(self: Objective, targets: Any) -> int:
        seen.append(targets)
        if len(seen) == _BATCHES:
            os.kill(os.getpid(), signal.SIGINT)
        return weight(self, targets)

    Objective.weight = counted
    try:
        losses(run, "auto", **sections)
        raise AssertionError("it was not interrupted")
    except KeyboardInterrupt:
        pass
    finally:
        Objective.weight = weight
    return losses(run, "none", resume=True, **sections)


def main() -> None:
    """Prints the losses of each training."""
    folder, dropout = Path(sys.argv[1]), float(sys.argv[2])
    pooled = {"decoder": {"dropout": dropout}}
    attention = {"type": "attention", "units": 16, "dropout": dropout, "embedding": {"size": 16}}
    attention |= {"doubly_stochastic": 1.0}  # a mean over captions, unlike the cross-entropy
    grid = {"encoder": {"output": "grid", "image_size": 48}, "decoder": attention, "training": {"epochs": 1}}
    stage_two = {"objective": "scst", "resume_weights_from": str(folder / "pooled_none"), "batch_size": 20}
    taught = {"transfer_from": str(folder / "pooled_none"), "keep_words": True, "rehearsal": {}, "epochs": 1}
    kinds = {"pooled": pooled, "grid": grid, "scst": {**pooled, "training": {**stage_two, "warmup": 0, "epochs": 1}}}
    kinds["rehearsal"] = {**pooled, "training": taught}
    found = {}
    for name, sections in kinds.items():
        found[name] = [losses(folder / f"{name}_{mode}", mode, **sections) for mode in ("none", "auto")]
    found["interrupted"] = [found["pooled"][0], interrupted(folder / "interrupted", **pooled)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
