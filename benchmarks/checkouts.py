"""Two checkouts of capsmith side by side, turn by turn: is the new one as fast, and are its numbers the same?

Each checkout runs in its own process, through the public API that both have: training (seconds of the last epoch of
flickr8k_quick.yaml on cached features), decoding (beam 5 from features, batches of 128), extraction (JPEG files to
features) and latency (one file to its caption, beam 5). While one works, the other waits. Prints the ratio of rates,
other / this, as the median over rounds, by the clock and by CPU-seconds; below 1 this checkout is slower.

    python -m benchmarks.checkouts OTHER --run RUN --images DIR --rounds 3 [--set data.root=… --set encoder.weights=…]

``RUN`` is a run that both can load, ``DIR`` a directory of JPEG files.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PARTS = ("training", "decoding", "extraction", "latency")
WORKER = r"""
import json, os, resource, sys, time
from pathlib import Path
import numpy as np

checkout, run, images, work, overrides = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
os.chdir(work)
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from capsmith import Captioner, load_config, train

captioner = Captioner.load(run)
files = sorted(Path(images).glob("*.jpg"))[:256]
features = captioner.features(files)
captioner.caption_features(features[:128], "beam", beam_size=5)
captioner.caption(files[0], "beam", beam_size=5)


def training(number):
    own = ["training.epochs=2", "evaluation.after_training=null"]
    config = load_config(f"{checkout}/configs/flickr8k_quick.yaml", [*overrides, *own])
    train(config, f"{work}/run{number}")
    last = Path(f"{work}/run{number}/history.csv").read_text().splitlines()
    row = dict(zip(last[0].split(","), last[-1].split(",")))
    return 1 / float(row["seconds"]), {k: float(v) for k, v in row.items() if k != "seconds"}


def decoding(number):
    start = time.perf_counter()
    for _ in range(4):
        halves = [captioner.caption_features(features[f : f + 128], "beam", beam_size=5) for f in (0, 128)]
        made = [caption.text for half in halves for caption in half]
    return 4 * 256 / (time.perf_counter() - start), made


def extraction(number):
    start = time.perf_counter()
    made = captioner.features(files)
    return len(files) / (time.perf_counter() - start), float(np.abs(made).sum())


def latency(number):
    start = time.perf_counter()
    for file in files[:40]:
        captioner.caption(file, "beam", beam_size=5)
    return 40 / (time.perf_counter() - start), None


print(json.dumps("ready"), file=out, flush=True)
for line in sys.stdin:
    part, number = json.loads(line)
    before = resource.getrusage(resource.RUSAGE_SELF)
    rate, made = globals()[part](number)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps([rate, cpu, made]), file=out, flush=True)
"""


class Worker:
    """One checkout in a process of its own."""

    def __init__(self, checkout: Path, args: argparse.Namespace, work: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", WORKER, str(checkout), str(args.run.resolve()), str(args.images.resolve())]
        self.process = subprocess.Popen(
            [*command, str(work), *args.set],
            env=environment | {"CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(work / f"{checkout.name}.log").open("w"),
            text=True,
        )

    def answer(self) -> object:
        """Returns what the process prints next."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a checkout stopped: see {self.process.args[-1]}")
        return json.loads(line)

    def ask(self, part: str, number: str) -> tuple[float, float, object]:
        """Runs one part; returns its rate, its CPU-seconds and what it gave."""
        self.process.stdin.write(json.dumps([part, number]) + "\n")
        self.process.stdin.flush()
        rate, cpu, made = self.answer()
        return rate, cpu, made


def main() -> int:
    """Lets both take turns; prints a line a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--run", type=Path, required=True, help="a run that both can load")
    parser.add_argument("--images", type=Path, required=True, help="a directory of JPEG files")
    parser.add_argument("--work", type=Path, help="working directory, with cache/ and runs/ that both use")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the training's config")
    args = parser.parse_args()
    work = (args.work or Path(tempfile.mkdtemp())).resolve()
    folder = Path(tempfile.mkdtemp(dir=work))
    sides = [Worker(checkout.resolve(), args, work) for checkout in (args.other, HERE)]
    for side in sides:
        side.answer()
    for part in args.parts:
        rounds = []
        for number in range(args.rounds):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            done = {i: sides[i].ask(part, f"{folder.name}-{part}{number}-{i}") for i in order}
            rounds.append((done[0], done[1]))
        clock = [this[0] / other[0] for other, this in rounds]
        cpu = [other[1] / this[1] for other, this in rounds]
        rates = [statistics.median(pair[side][0] for pair in rounds) for side in (0, 1)]
        equal = all(other[2] == this[2] for other, this in rounds)
        print(
            f"{part:10}  by the clock {statistics.median(clock):.3f} ({min(clock):.3f} to {max(clock):.3f})  "
            f"by CPU-seconds {statistics.median(cpu):.3f}  rates {rates[0]:.4g} {rates[1]:.4g}  "
            f"same numbers: {'yes' if equal else 'NO'}",
            flush=True,
        )
        if part == "training" and not equal:
            print(f"  {rounds[0][0][2]}\n  {rounds[0][1][2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
