"""Scores the published Flickr8k captions of 66 VGG16 models of the Show and Tell family in this project's convention.

    git clone https://github.com/mtanti/where-image2 && git clone https://github.com/mtanti/rnn-role
    python -m benchmarks.rescoring --where-image2 where-image2 --rnn-role rnn-role

Twelve are of "Where to put the image in an image caption generator" (Tanti et al. 2018), 54 of "What is the role of
recurrent neural networks (RNNs) in an image caption generator?" (Tanti et al. 2017). Both repositories hold the
captions of their test images in the order of the first one's ``results/imgs_flickr8k.txt``. One of them by hand, in
its ``results``:

    paste -d, imgs_flickr8k.txt flickr8k_init_3/generated_captions.txt | sed '1i image,caption' > init_3.csv
    capsmith score --hypotheses init_3.csv --references ../shared/golden/flickr8k_refs/test_refs_raw.json
"""

import argparse
import json
import sys
from pathlib import Path

from capsmith.core.errors import CapsmithError
from capsmith.core.files import read_json, write_json
from capsmith.metrics import Scorer
from capsmith.metrics.files import read_references

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = {"where-image2": 12, "rnn-role": 54}
IMAGES = Path("results", "imgs_flickr8k.txt")


def captions(where_image2: Path, rnn_role: Path) -> dict[str, dict[str, str]]:
    """Reads the captions of every model.

    Args:
        where_image2: A clone of mtanti/where-image2.
        rnn_role: A clone of mtanti/rnn-role.

    Returns:
        For each model the caption of each image.

    Raises:
        CapsmithError: A file is missing, or is not what it was.
    """
    ids = _lines(where_image2 / IMAGES)
    found: dict[str, dict[str, str]] = {}
    for path in sorted(where_image2.glob("results/flickr8k_*/generated_captions.txt")):
        if "human" not in path.parent.name:  # the test captions themselves, which its authors used as a ceiling
            found[f"where-image2/{path.parent.name}"] = _aligned(path, ids, _lines(path))
    for path in sorted(rnn_role.glob("results/*_flickr8k_*/generated_captions.json")):
        rows = sorted(read_json(path), key=lambda row: row["image_id"])
        found[f"rnn-role/{path.parent.name}"] = _aligned(path, ids, [row["caption"] for row in rows])
    for name, count in EXPECTED.items():
        if (here := sum(model.startswith(f"{name}/") for model in found)) != count:
            raise CapsmithError(f"{name}: captions of {here} Flickr8k models, and there should be {count}")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CapsmithError(f"cannot read {path}: {error.strerror or error}; is it a clone of mtanti's?") from error


def _aligned(path: Path, ids: list[str], texts: list[str]) -> dict[str, str]:
    if len(texts) != len(ids):
        raise CapsmithError(f"{path}: {len(texts)} captions for {len(ids)} images")
    return dict(zip(ids, texts, strict=True))


def main() -> None:
    """Scores all models and writes the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT.parent / "shared" / "golden" / "flickr8k_refs" / "test_refs_raw.json"
    parser.add_argument("--where-image2", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rnn-role", type=Path, required=True, metavar="DIR")
    parser.add_argument("--references", type=Path, default=default, metavar="FILE")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "flickr8k" / "rescored.json", metavar="FILE")
    args = parser.parse_args()
    try:
        scorer = Scorer(read_references([args.references]).captions)
        models = captions(args.where_image2, args.rnn_role)
        scored = {model: scorer.score(texts) for model, texts in models.items()}
    except CapsmithError as error:
        sys.exit(str(error))
    values = {model: {name: round(one.value, 4) for name, one in scores.items()} for model, scores in scored.items()}
    best = max(values, key=lambda model: values[model]["cider"])
    signatures = {name: one.signature for name, one in scored[best].items()}
    write_json(args.out, {"best": best, "signatures": signatures, "scores": values})
    print(f"{len(values)} models; the highest CIDEr has {best}: {json.dumps(values[best])}")
    highest = max(values, key=lambda model: values[model]["bleu4"])
    print(f"the highest BLEU-4 has {highest}: {json.dumps(values[highest])}")


if __name__ == "__main__":
    main()
