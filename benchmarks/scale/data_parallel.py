"""Compares training on two devices with training on one: the losses of cross-entropy and of self-critical training.

    python -m benchmarks.scale.data_parallel CONFIG [--set KEY=VALUE …] [--backends jax tensorflow] [--write FILE]

The devices are CPU devices of this machine. On each backend, CONFIG is trained for two epochs on one device, and on two
at the same global batch; then both start self-critical training from the same weights. Besides, a training on two
devices is killed (`kill -9`) within its second epoch and goes on with one. On JAX dropout stays as it is; on TensorFlow
it is off, since each device draws its own masks. Prints the largest difference of the losses (`dist.loss_maxdiff`), and
seconds an epoch. Two devices of one CPU share its cores: the times show overhead, not gain.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CHILD = """
import os, sys
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    two = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1])
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from capsmith.cli import main
sys.exit(main(sys.argv[2:]))
"""


def command(
    backend: str, devices: int, run: Path, config: str, overrides: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Returns the command that trains on some devices, and its environment."""
    distribute = f"training.distribute={'auto' if devices > 1 else 'none'}"
    sets = [word for override in (*overrides, distribute) for word in ("--set", override)]
    words = [
        sys.executable,
        "-c",
        _CHILD,
        str(devices),
        "train",
        "--config",
        config,
        "--run",
        str(run),
        "--resume",
        *sets,
    ]
    flags = f"--xla_force_host_platform_device_count={devices}"
    return words, {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags}


def trained(backend: str, devices: int, run: Path, config: str, overrides: list[str], kill: bool = False) -> list[dict]:
    """Trains, and returns the rows of the history; with ``kill``, first on two devices, killed in the second epoch."""
    if kill:
        words, environment = command(backend, 2, run, config, [*overrides, "training.checkpoint_every=0"])
        process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (run / "history.csv").exists():
            time.sleep(0.05)
        time.sleep(1.5)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            sys.exit("the training ended before it was killed: take more images")
    words, environment = command(backend, devices, run, config, overrides)
    subprocess.run(words, env=environment, check=True, stderr=subprocess.DEVNULL)
    with (run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def difference(one: list[dict], other: list[dict]) -> float:
    """Returns the largest difference of the losses of two histories."""
    if len(one) != len(other):
        return float("inf")
    return max(abs(float(a["loss"]) - float(b["loss"])) for a, b in zip(one, other, strict=True))


def compared(backend: str, config: str, overrides: list[str], folder: Path) -> dict[str, float]:
    """Trains each pair and returns the differences."""
    common = [
        "training.epochs=2",
        "training.schedule=constant",
        "evaluation.after_training=null",
        "training.patience=null",
    ]
    overrides = [*overrides, *common, *(["decoder.dropout=0"] if backend == "tensorflow" else [])]
    stage_two = [f"training.resume_weights_from={folder / 'one'}", "training.objective=scst", "training.cached_crops=0"]
    found = {}
    for name, more in (("cross-entropy", []), ("self-critical", [*stage_two, "training.learning_rate=5e-5"])):
        base = folder / ("one" if name == "cross-entropy" else "scst_one")
        one = trained(backend, 1, base, config, [*overrides, *more])
        two = trained(backend, 2, base.with_name(base.name + "_two"), config, [*overrides, *more])
        found[name] = difference(one, two)
        seconds = [sum(float(row["seconds"]) for row in rows) / len(rows) for rows in (one, two)]
        losses = " ".join(f"{float(row['loss']):.6f}" for row in two)
        print(f"{backend} {name}: losses {losses}, difference {found[name]:.1e}; s/epoch {seconds}", flush=True)
        if name == "cross-entropy":
            killed = trained(backend, 1, folder / "killed", config, overrides, kill=True)
            found["killed"] = difference(one, killed)
            print(f"{backend} killed on two devices, ended on one: difference {found['killed']:.1e}", flush=True)
    return found


def main() -> None:
    """Compares, and prints the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow"])
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    differences = {}
    with tempfile.TemporaryDirectory() as name:
        for backend in args.backends:
            folder = Path(name) / backend
            folder.mkdir()
            differences[backend] = compared(backend, args.config, args.set, folder)
    largest = max(value for of_backend in differences.values() for value in of_backend.values())
    print(f"largest difference {largest:.1e}")
    if args.write:
        parts = "; ".join(
            f"{backend} " + ", ".join(f"{name} {value:.1e}" for name, value in of_backend.items())
            for backend, of_backend in differences.items()
        )
        note = f"largest difference of an epoch's loss between two devices and one at the same global batch: {parts}"
        figure = {"value": float(f"{largest:.2g}"), "unit": "nats", "note": note}
        figure["command"] = "python -m benchmarks.scale.data_parallel CONFIG"
        args.write.write_text(json.dumps({"dist.loss_maxdiff": figure}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
