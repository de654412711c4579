"""Correct and retrain: dev CIDEr of the corrected images and of the old domain, before and after 200 corrections.

    python -m benchmarks.retrain MODEL … [--corrections 200] [--flickr8k ../shared/flickr8k] [--old-images 1000]
        [--set KEY=VALUE …] [--seed 7] [--work DIR] [--write part.json]

The images are rendered scenes, and a rule gives their corrected captions in other words than a model of photographs
has: "an azure sedan beside a violet fir" for "a blue car next to a purple tree". A studio project with them is
retrained by ``capsmith train --from-studio``, as a person would. A fifth of the corrections is held out; each is the
only reference of its image. The old domain is Flickr8k's dev split, which MODEL (a run, an export, or ``starter``) was
trained for. It is measured here too where the retraining cannot read it: the starter comes without its data.
``--no-old-data`` hides it from the retraining of a run as well.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from capsmith.data.flickr8k import Flickr8kConfig  # noqa: E402
from capsmith.data.records import read_dataset  # noqa: E402
from capsmith.data.scenes.reader import ScenesConfig, read  # noqa: E402
from capsmith.deploy.folder.selection import select  # noqa: E402
from capsmith.deploy.studio.project import project_folder  # noqa: E402
from capsmith.deploy.studio.store import Store  # noqa: E402
from capsmith.models.captioner import Captioner  # noqa: E402
from capsmith.models.run_config import run_config  # noqa: E402
from capsmith.training.rehearsal import cached_features, evenly_spaced  # noqa: E402
from capsmith.training.retraining.gain import GAIN, read_gain  # noqa: E402
from capsmith.training.retraining.measure import Domain, measure  # noqa: E402
from capsmith.training.retraining.settings import base_config  # noqa: E402

OTHER = {
    **{"red": "crimson", "blue": "azure", "green": "emerald", "yellow": "golden", "white": "ivory", "purple": "violet"},
    **{"cat": "kitten", "cats": "kittens", "house": "cabin", "houses": "cabins", "cottage": "cabin"},
    **{"cottages": "cabins", "tree": "fir", "trees": "firs", "car": "sedan", "cars": "sedans", "boat": "dinghy"},
    **{"boats": "dinghies", "sailboat": "dinghy", "sailboats": "dinghies", "whale": "orca", "whales": "orcas"},
    **{"balloon": "blimp", "balloons": "blimps", "plane": "jet", "planes": "jets", "airplane": "jet"},
    "airplanes": "jets",
}
"""The other words of the corrected captions."""
NOTE = "200 corrected captions of rendered scenes in other words, a fifth held out with one reference each"


def main() -> int:
    """Retrains each model and prints both domains; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="runs, exports, or starter")
    parser.add_argument("--corrections", type=int, default=200)
    parser.add_argument("--flickr8k", type=Path, default=Path("../shared/flickr8k"), help="the old domain")
    parser.add_argument("--old-images", type=int, default=1000, help="images of its dev split; 0 for none")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the retraining")
    parser.add_argument("--no-old-data", action="store_true", help="rehearse without the data of a run")
    parser.add_argument("--seed", type=int, default=7, help="of the scenes")
    parser.add_argument("--work", type=Path, help="folder for images, features and runs; by default a temporary one")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="capsmith-retrain-") as temporary:
        work = args.work or Path(temporary)
        results = [retrained(model, args, work / str(number)) for number, model in enumerate(args.models)]
    if args.write:
        args.write.write_text(json.dumps(figures(args, results), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def retrained(model: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Retrains a model; returns and prints the CIDEr of both domains before and after, and the minutes."""
    photos, run = make_project(model, args, work), work / "run"
    sets = [*args.set, *(["training.rehearsal.source=model"] if args.no_old_data else [])]
    command = [sys.executable, "-m", "capsmith", "train", "--from-studio", str(photos), "--run", str(run)]
    started = time.perf_counter()
    subprocess.run([*command, *(part for change in sets for part in ("--set", change))], check=True)
    minutes = (time.perf_counter() - started) / 60
    gain = read_gain(run / GAIN)
    result = {"model": model, "new": [part["new"]["cider"] for part in (gain.before, gain.after)], "minutes": minutes}
    if args.old_images:
        result["old"] = old_ciders(model, run, args, work)
        result["loss"] = 1 - result["old"][1] / result["old"][0]
    print(json.dumps(result), flush=True)
    return result


def make_project(model: str, args: argparse.Namespace, work: Path) -> Path:
    """Draws the scenes, and makes a studio project with their corrected captions; returns the folder of images."""
    corpus = read(ScenesConfig(root=work / "scenes", train=args.corrections, dev=0, test=0, size=256, seed=args.seed))
    captions = {record.image_id: in_other_words(record.captions[0]) for record in corpus.records}
    photos = work / "scenes" / "images"
    with Store.open(project_folder(photos), photos) as store:
        store.sync(select([photos]).rooted().items)
        store.keep_model([model])
        for image in store.images(limit=args.corrections).images:
            store.edit(image.id, captions[image.name], "edited", image.revision)
    return photos


def in_other_words(caption: str) -> str:
    """Returns a caption in other words, with the articles that they need."""
    words = [OTHER.get(word, word) for word in caption.split()]
    for place, (word, after) in enumerate(zip(words[:-1], words[1:], strict=True)):
        if word in ("a", "an"):
            words[place] = "an" if after[0] in "aeiou" else "a"
    return " ".join(words)


def old_ciders(model: str, run: Path, args: argparse.Namespace, work: Path) -> list[float]:
    """Returns the CIDEr of the old domain, by the model and by the new run."""
    config = run_config(run)
    records = evenly_spaced(read_dataset(Flickr8kConfig(root=args.flickr8k)).split("dev"), args.old_images)
    own = config.model_copy(update={"features": config.features.model_copy(update={"cache": work.parent / "cache"})})
    domain = Domain("Flickr8k dev", tuple(records), cached_features(own, base_config(model), records))
    captioners = [Captioner.load(path, config.trains_encoder, ["ensemble=[]"]) for path in (model, run)]
    return [measure(captioner, domain, config).scores["cider"] for captioner in captioners]


def figures(args: argparse.Namespace, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the smallest gain and the largest loss of all models, as entries of results/summary.json."""
    command = " ".join(["python -m benchmarks.retrain", *args.models])
    each = "; ".join(f"{Path(r['model']).name} {r['new'][0]:.3f} → {r['new'][1]:.3f}" for r in results)
    entry = {"unit": "", "command": command, "seeds": 1}
    gain = round(min(r["new"][1] - r["new"][0] for r in results), 4)
    found = {
        "studio.retrain_gain": {"value": gain, **entry, "note": f"dev CIDEr gained by {NOTE}: {each}; the smallest"}
    }
    if args.old_images:
        each = "; ".join(f"{Path(r['model']).name} {r['old'][0]:.3f} → {r['old'][1]:.3f}" for r in results)
        loss = round(max(r["loss"] for r in results), 4)
        lost = f"share of the CIDEr on {args.old_images:,} Flickr8k dev images lost by the same training"
        note = f"{lost}: {each}; the largest"
        found["studio.retrain_old_loss"] = {"value": loss, **entry, "note": note}
    return found


if __name__ == "__main__":
    sys.exit(main())
