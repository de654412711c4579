"""Measures the value of each part of the recipe: one training per factor, which differs from the base in it alone.

    python -m benchmarks.ablation --set data.root=/path/to/Flickr8k [--set …] [--only crop ema] [--epochs 4]

The base is ``flickr8k_attention.yaml`` at half width, with its second encoder only and no cached crops, for a few
epochs: a tenth of the time. The base and each factor below are trained once; ``results/flickr8k/ablation.json`` has
the best dev scores. Existing runs are resumed and existing rows kept, so the command can be interrupted and repeated.
Only dev is read.
"""

import argparse
import json
from pathlib import Path

from capsmith.config import load_config
from capsmith.training.fit import train
from capsmith.training.history import History, read_csv

BASE = ("decoder.units=256", "decoder.attention_units=256", "training.cached_crops=0", "training.precision=auto")
BOTH = "both encoders"
FACTORS: dict[str, tuple[str, ...]] = {
    "base": (),
    "another seed": ("seed=2",),  # the effect of chance: a smaller change is not evidence
    "in float32": ("training.precision=float32",),  # the effect of bfloat16, on a machine that has it
    "without encoder adaptation": ("encoder.1.pretrain_on_words=null",),
    BOTH: (),
    "with a cached crop": ("training.cached_crops=1",),
    "without feature scaling": ("decoder.standardise=false",),
    "without label smoothing": ("training.label_smoothing=0",),
    "without averaged weights (EMA)": ("training.ema=null",),
    "without attention on attention": ("decoder.refine=false",),
    "without tied embeddings": ("decoder.tie_embeddings=false",),
    "dropout 0.3": ("decoder.dropout=0.3",),
    "512 units": ("decoder.units=512", "decoder.attention_units=512"),
    "soft attention decoder": ("decoder.type=attention",),
    "top-down decoder": ("decoder.type=updown",),
    "input feeding": ("decoder.input_feeding=true",),
    "one-cycle schedule": ("training.schedule=onecycle",),
    "layer norm": ("decoder.layer_norm=true",),
    "word dropout 0.1": ("decoder.word_dropout=0.1",),
    "scheduled sampling 0.25": ("training.scheduled_sampling=0.25",),
    "additive attention": ("decoder.attention=additive",),
    "spatial dropout 0.3": ("decoder.spatial_dropout=0.3",),
    "variational dropout": ("decoder.variational=true",),
    "weight decay 0.05": ("training.weight_decay=0.05",),
}
SHOWN = ("dev_bleu4", "dev_cider")


def main() -> None:
    """Trains the requested factors and writes all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="flickr8k_attention.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", nargs="*", metavar="WORD", help="factors whose name contains one of these")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--out", type=Path, default=Path("results/flickr8k/ablation.json"))
    args = parser.parse_args()
    common = [
        *BASE,
        *args.set,
        f"training.epochs={args.epochs}",
        "training.patience=null",
        "evaluation.after_training=null",
    ]
    for name, changes in FACTORS.items():
        if args.only and not any(word in name for word in args.only):
            continue
        config = load_config(args.config, [*common, *changes])
        if name != BOTH:
            config = config.model_copy(update={"encoder": config.encoders[1]})
        if finished(args.runs, name, args.epochs) is None:
            train(config, args.runs / name.replace(" ", "_"), resume=True)
        write(args.runs, args.out, args.epochs)


def finished(runs: Path, name: str, epochs: int) -> History | None:
    """Returns the history of a finished run, else None."""
    path = runs / name.replace(" ", "_") / "history.csv"
    history = History("cider", read_csv(path)) if path.exists() else None
    return history if history is not None and history.epochs >= epochs else None


def write(runs: Path, out: Path, epochs: int) -> None:
    """Writes the best epoch of every finished run and its difference from the base's."""
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    kept = before.get("rows", {}) if before.get("epochs") == epochs and before.get("base") == list(BASE) else {}
    rows = {}
    for name, changes in FACTORS.items():
        history = finished(runs, name, epochs)
        if history is None:
            if name in kept:
                rows[name] = kept[name]
            continue
        best = history.rows[history.best or 0]
        seconds = sum(row["seconds"] for row in history.rows) / history.epochs
        rows[name] = {"set": list(changes), **{key: best[key] for key in SHOWN}, "seconds_an_epoch": round(seconds, 1)}
    base = rows.get("base")
    for row in rows.values():
        row |= {f"{key}_change": row[key] - base[key] for key in SHOWN} if base else {}
        print(json.dumps(row))
    text = json.dumps({"base": list(BASE), "epochs": epochs, "seed": 1, "rows": rows}, indent=2)
    out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
