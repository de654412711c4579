"""Runs ``init``, ``train`` and ``caption`` on folders of rendered scenes with a spreadsheet, in three scripts.

    python -m benchmarks.scripts [--only Arabic] [--write summary_part.json]

Each folder has images, and ``captions.csv`` in Vietnamese, Arabic or Chinese (``writings.py``). ``init`` finds
everything else by itself. ``train`` uses a small encoder without ImageNet weights, which rendered scenes do not need.
The figure is dev BLEU-4, on pairs of coloured objects that no training image shows together. Takes four minutes a
script on two cores.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.writings import LANGUAGES, captions
from capsmith.data.scenes.plan import Scene
from capsmith.data.scenes.reader import ScenesConfig, build_manifest, read
from capsmith.training.history import History, read_csv

COMMAND = "python -m benchmarks.scripts"
SETS = (
    "encoder={type: small_cnn, weights: none, trainable: true, output: pooled, image_size: 96}",
    "decoder={type: inject, mode: par, units: 192, dropout: 0.1, embedding: {size: 96}}",
    "training={epochs: 11, batch_size: 80, learning_rate: 2.0e-3, metric: bleu4}",
    "evaluation.after_training=null",
)


def main() -> int:
    """Trains in every script; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*LANGUAGES], default=[*LANGUAGES])
    parser.add_argument("--images", type=int, default=3000, help="to train on")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        for language in args.only:
            home = Path(place) / language
            folder(home / "images", language, args.images)
            found[language] = trained(home)
            print(f"{language}: dev BLEU-4 {found[language]:.4f}", flush=True)
    if args.write:
        each = ", ".join(f"{language} {value:.3f}" for language, value in found.items())
        note = f"dev BLEU-4 of init, train, caption on drawn scenes, the least of {each} (Chinese by character)"
        part = {"value": round(min(found.values()), 4), "unit": "", "command": COMMAND, "seeds": 1, "note": note}
        args.write.write_text(json.dumps({"scripts.bleu4_min": part}, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return int(min(found.values()) < 0.5)


def folder(root: Path, language: str, train: int) -> None:
    """Renders images, and writes their captions into a spreadsheet as people keep one."""
    config = ScenesConfig(root=root / "drawn", train=train, dev=200, test=0)
    read(config)
    (root / "drawn" / "images").rename(root / "images")
    (root / "drawn" / "manifest.json").unlink()
    (root / "drawn").rmdir()
    with (root / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption", "split"])
        for entry in build_manifest(config)["images"]:
            for caption in captions(Scene.from_json(entry["scene"]), language):
                rows.writerow([entry["id"], caption, entry["split"]])


def trained(home: Path) -> float:
    """Runs the three commands; returns the dev BLEU-4 of the best epoch."""
    run("init", "images", "--out", "config.yaml", home=home)
    run("train", "--config", "config.yaml", "--run", "run", *[p for s in SETS for p in ("--set", s)], home=home)
    some = sorted(str(path.relative_to(home)) for path in (home / "images" / "images").glob("dev_*"))[:5]
    run("caption", "run", *some, home=home)
    history = History("bleu4", read_csv(home / "run" / "history.csv"))
    return float(history.rows[history.best or 0]["dev_bleu4"])


def run(*arguments: str, home: Path) -> None:
    """Runs a capsmith command in a folder; its output goes to the terminal."""
    command = [sys.executable, "-m", "capsmith", *arguments]
    subprocess.run(command, check=True, cwd=home, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})


if __name__ == "__main__":
    sys.exit(main())
