"""The cost of each search option beside a plain beam search of as many rows, on one trained model.

    python -m benchmarks.search_options RUN [--features FILE.npy] [--batch 256] [--rounds 5] [--write FILE]

All searches read the same features with the same decoder, whose end token is switched off: each one takes exactly
``--length`` steps with the same number of rows, so a ratio shows the cost of the engine alone. They take turns, and a
ratio is the median over rounds of the time of an option over that of its plain search in the same round. Prints the
captions per second, by the clock and by CPU time, and the largest ratio of CPU times (other programs on the machine
change it least), ``house.search_option_slowdown``.
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.speed.decoders import never_ending
from capsmith.decoding.config import BeamConfig, DecodingConfig, SampleConfig
from capsmith.decoding.search import search
from capsmith.decoding.wishes import Wishes
from capsmith.models.captioner import Captioner

FIGURE = "house.search_option_slowdown"


_FIRST = 4  # id of the first word: words by frequency follow
_FORCED = Wishes(0, prefix=(_FIRST, _FIRST + 1), exclude=((_FIRST + 2,), (_FIRST + 3, _FIRST + 4)))
_EXCLUDED = Wishes(0, exclude=tuple((_FIRST + first, _FIRST + second) for first in range(10) for second in range(10)))
_WORD = Wishes(0, include=(((_FIRST + 2,),),))


def searches(length: int) -> dict[str, tuple[DecodingConfig, str] | tuple[DecodingConfig, str, Wishes]]:
    """Returns the searches by name, each with the name of its plain search; plain ones name themselves.

    Words to include, exclude and begin with are a third value, without the size of the vocabulary.
    """
    five, six, ten = (f"beam {size}" for size in (5, 6, 10))
    fixed = {"max_length": length, "min_length": 0}
    return {
        five: (BeamConfig(**fixed), five),
        six: (BeamConfig(beam_size=6, **fixed), six),
        ten: (BeamConfig(beam_size=10, **fixed), ten),
        "beam 5, min_length": (BeamConfig(max_length=length, min_length=length // 2), five),
        "beam 5, length_penalty 1.5": (BeamConfig(length_penalty=1.5, **fixed), five),
        "beam 5, no_repeat 2": (BeamConfig(no_repeat=2, **fixed), five),
        "beam 5, no_repeat 3": (BeamConfig(no_repeat=3, **fixed), five),
        "beam 6, 3 groups": (BeamConfig(beam_size=6, groups=3, **fixed), six),
        "beam 10, 5 groups, no_repeat 2": (BeamConfig(beam_size=10, groups=5, no_repeat=2, **fixed), ten),
        "beam 5, prefix, 2 words to exclude": (BeamConfig(**fixed), five, _FORCED),
        "beam 5, 100 phrases to exclude": (BeamConfig(**fixed), five, _EXCLUDED),
        "beam 5, 1 word to include (10 rows)": (BeamConfig(**fixed), ten, _WORD),
        "5 samples": (SampleConfig(samples=5, **fixed), five),
        "5 samples, temperature 0.7": (SampleConfig(samples=5, temperature=0.7, **fixed), five),
        "5 samples, top_k 50": (SampleConfig(samples=5, top_k=50, **fixed), five),
        "5 samples, top_p 0.9": (SampleConfig(samples=5, top_p=0.9, **fixed), five),
        "5 samples, top_k 50, top_p 0.9, no_repeat 2": (
            SampleConfig(samples=5, top_k=50, top_p=0.9, no_repeat=2, **fixed),
            five,
        ),
    }


def main() -> int:
    """Measures; returns the exit code, 0 if no option is more than 1.5 times slower than its plain search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--features", type=Path, metavar="FILE", help="features (P, D) or (P, L, D); by default noise")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=12)
    parser.add_argument("--only", metavar="WORD", help="options whose name has this word, and plain searches")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    captioner = Captioner.load(args.run, encoder=False)
    never_ending(captioner.model.decoder)
    features = _features(args.features, args.batch, captioner.feature_shape)
    options = {
        name: pair
        for name, pair in searches(args.length).items()
        if not args.only or args.only in name or name == pair[1]
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in options}
    for turn in range(args.rounds + 1):
        for name, (config, _, *words) in options.items():
            wishes = replace(words[0], size=len(captioner.vocabulary)) if words else None
            clock, cpu = time.perf_counter(), time.process_time()
            search(captioner.stepper, features, config, wishes)
            if turn:  # the first compiles
                times[name].append((time.perf_counter() - clock, time.process_time() - cpu))
    print(f"{'option':46} {'captions/s':>10} {'per CPU s':>10} {'ratio':>6} {'CPU':>6}   beside")
    ratios = {}
    for name, (_, plain, *_) in options.items():
        clock, cpu = (statistics.median(column) for column in zip(*times[name], strict=True))
        pairs = list(zip(times[name], times[plain], strict=True))
        wall, core = (statistics.median(mine[n] / other[n] for mine, other in pairs) for n in (0, 1))
        ratios[name] = core
        print(f"{name:46} {args.batch / clock:10.1f} {args.batch / cpu:10.1f} {wall:6.2f} {core:6.2f}   {plain}")
    slowest = max(ratios, key=lambda name: ratios[name])
    print(f"{FIGURE} {ratios[slowest]:.2f} ({slowest})")
    if args.write:
        note = (
            f"time of '{slowest}' over a plain search of as many rows and steps, the largest of {len(options)} options"
        )
        command = "python -m benchmarks.search_options " + " ".join(sys.argv[1:])
        figure = {FIGURE: {"value": round(ratios[slowest], 3), "unit": "×", "command": command, "note": note}}
        args.write.write_text(json.dumps(figure, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(ratios[slowest] > 1.5)


def _features(path: Path | None, batch: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns features of a batch of images, from a file or at random."""
    if path is None:
        return np.abs(np.random.default_rng(0).normal(size=(batch, *shape))).astype(np.float16)
    stored = np.load(path, mmap_mode="r")
    return np.asarray(stored[np.arange(batch) % len(stored)])


if __name__ == "__main__":
    sys.exit(main())
