"""Profiles a training step by kind of operation: one model in its own process.

python -m benchmarks.speed.profile aoa --precision bfloat16
"""

import argparse
import json
import re
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.speed.contest import Round, told_by_a_new_process

KINDS = (
    ("products", "MatMul|Einsum|Conv2D"),
    ("updating the weights", "Assign|ResourceApply"),
    ("random numbers of dropout", "Random|GreaterEqual"),
    ("rounding to another precision", "Cast"),
    ("sums", "SegmentSum|Sum|Mean|AddN|BiasAddGrad|Max"),
    ("moving and gathering", "Transpose|Concat|Split|Unpack|Pack|Slice|Gather|Reshape|Tile|Scatter|Pad|Unique"),
    ("all else, most of it functions of single numbers", "."),
)
"""What an operation counts as: the first whose pattern its name holds."""


def measure(decoder: str, precision: str) -> dict[str, float]:
    """Returns each kind's share of a step's work, measured in a new process."""
    return told_by_a_new_process("benchmarks.speed.profile", decoder, "--precision", precision)


def main() -> None:
    """Profiles some steps and prints the shares as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decoder")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    from benchmarks.speed.ways import capsmith

    work = capsmith(args.decoder, args.precision, args.steps)
    work()
    print(json.dumps(shares(work)))


def shares(work: Round) -> dict[str, float]:
    """Returns the share of operation time of each kind, by TensorFlow's profiler."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            work()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    spent: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if operation[0] and re.fullmatch(r"_?[A-Z]\w+", operation[2]) and "::" not in "".join(operation):
                    spent[kind(operation[2])] += event.duration_ps
    return {name: spent[name] / spent.total() for name, _ in KINDS}


def kind(operation: str) -> str:
    """Returns the kind of an operation such as ``_MklMatMul``."""
    return next(name for name, pattern in KINDS if re.search(pattern, operation))


if __name__ == "__main__":
    main()
