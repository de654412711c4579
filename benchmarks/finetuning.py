"""Measures the gain of training the encoder's last block: two equally long trainings that continue from one.

    python -m benchmarks.finetuning --set data.root=/path/to/Flickr8k --set encoder.weights=… [--write …]

The first stage is ``flickr8k_quick.yaml`` with a frozen encoder with ImageNet weights and unscaled features. Then one
run continues with the frozen encoder, and another trains its last block at the decoder's learning rate on images of
which half are mirrored: the same epochs, batches and seed. (At a tenth of that rate, or with crops, rotations and
colour changes, four epochs are too few for a gain.) Only dev is read. An existing run is resumed.
"""

import argparse
import json
from pathlib import Path

from capsmith.config import load_config
from capsmith.training.fit import train
from capsmith.training.history import History, read_csv

COMMAND = "python -m benchmarks.finetuning"
COMMON = (
    "encoder.pretrain_on_words=null",
    "decoder.standardise=false",  # features of a trained encoder have no fixed scale
    "training.precision=float32",
    "training.patience=null",
    "evaluation.after_training=null",
)
STAGES: dict[str, tuple[str, ...]] = {
    "frozen": (),
    "frozen_on": (),
    "last_block": (
        "encoder.trainable=last_block",
        "encoder.lr_multiplier=1",
        "training.augment={crop: 1, rotate: 0, colour: 0}",
    ),
}


def main() -> None:
    """Trains the missing runs, compares them, and writes the gain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="flickr8k_quick.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--epochs", type=int, nargs=2, default=(6, 4), help="of the first stage and of the second")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate of the second stage")
    parser.add_argument("--runs", type=Path, default=Path("runs/finetuning"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    first, then = args.epochs
    follows = [f"training.resume_weights_from={args.runs / 'frozen'}", f"training.learning_rate={args.rate}"]
    configs = {}
    for name, changes in STAGES.items():
        more = [f"training.epochs={first}"] if name == "frozen" else [*changes, *follows, f"training.epochs={then}"]
        configs[name] = load_config(args.config, [*COMMON, *args.set, *more])  # reports mistakes before hours of work
    best = {}
    for name, config in configs.items():
        train(config, args.runs / name, resume=True)
        history = History("cider", read_csv(args.runs / name / "history.csv"))
        best[name] = history.rows[history.best or 0]
        minutes = sum(row["seconds"] for row in history.rows) / 60
        print(f"{name:11} dev BLEU-4 {best[name]['dev_bleu4']:.4f}  CIDEr {best[name]['dev_cider']:.4f}", end="  ")
        print(f"{history.epochs} epochs, {minutes:.1f} minutes")
    frozen, tuned = best["frozen_on"]["dev_cider"], best["last_block"]["dev_cider"]
    print(f"gain {tuned - frozen:+.4f}")
    if args.write:
        command = " ".join([COMMAND, *(f"--set {change}" for change in args.set)])
        learning = "with its last block trained on mirrored images"
        note = f"MobileNetV2 on Flickr8k: dev CIDEr {tuned:.3f} {learning}, {frozen:.3f} frozen"
        part = {"value": round(tuned - frozen, 4), "unit": "", "command": command, "seeds": 1, "note": note}
        text = json.dumps({"finetune.dev_cider_gain": part}, indent=2, ensure_ascii=False)
        args.write.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
