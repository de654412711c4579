"""Writes the captions that an ensemble gives training images, for ``training.teacher_captions``.

The five best hypotheses of beam search for each image, as JSON lines; the ensemble averages probabilities.

    python -m tools.teacher_captions OUT.jsonl RUN [RUN …] [--set data.root=…]
"""

import argparse
import json
import tempfile
from pathlib import Path

from capsmith import evaluate
from capsmith.core.files import atomic

CAPTIONS = 5
SEARCH = ("decoding.type=beam", "decoding.beam_size=5", "decoding.max_length=22")


def main() -> None:
    """Captions the train split and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = evaluate(args.runs, "train", [*SEARCH, *args.set], out=Path(folder) / "report")
    with atomic(args.out, "w") as file:
        for image, caption in result.captions.items():
            texts = dict.fromkeys([caption.text, *(other.text for other in caption.alternatives)])
            file.write(json.dumps({"image": image, "captions": [*texts][:CAPTIONS]}) + "\n")


if __name__ == "__main__":
    main()
