"""From a new process to the caption of one photograph, beside the bare imports; and warm, beside the CNN alone.

The command and ``python -c 'import onnxruntime, numpy, PIL'`` take turns, each in a new process. Prints medians of
wall time and CPU time, their ratios, the largest memory, and the installed size of the packages that captioning needs.

    python -m benchmarks.first_caption PHOTO [--model EXPORT] [--python OTHER/bin/python] [--runs 9]

``--python`` names the interpreter of another environment, such as one without TensorFlow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

IMPORTS = "import onnxruntime, numpy, PIL"
_SIZES = r"""
import importlib.metadata as metadata, json, os
def size(name):
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        return None
    return sum(os.path.getsize(path) for file in files if os.path.isfile(path := file.locate()))
names = ("capsmith", "onnxruntime", "numpy", "pillow", "protobuf", "flatbuffers", "packaging")
print(json.dumps({name: size(name) for name in names}))
"""

_WARM = r"""
import json, statistics, sys, time
from capsmith.core.starter import STARTER_DATA
from capsmith.deploy.runtime import Captioner
from capsmith.vision.images import load_image

captioner = Captioner.load(sys.argv[2] or STARTER_DATA)
(encoder,) = captioner.members[0].encoders
pixels = load_image(sys.argv[1], encoder.image_size)[None]
features = captioner.encode(pixels)
parts = {
    "caption": lambda: captioner.caption(sys.argv[1]),
    "cnn": lambda: encoder.encode(pixels),
    "load": lambda: load_image(sys.argv[1], encoder.image_size),
    "search": lambda: captioner.caption_features(features),
}
times = {name: [] for name in parts}
for turn in range(int(sys.argv[3]) + 3):
    for name, part in parts.items():
        start = time.perf_counter(), time.process_time()
        part()
        times[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
medians = {name: [statistics.median(column) * 1e3 for column in zip(*rows[3:])] for name, rows in times.items()}
print(json.dumps(medians))
"""


class Usage(NamedTuple):
    """What one process used: wall seconds, CPU seconds, and its largest resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def measure(command: list[str]) -> tuple[Usage, str]:
    """Runs a command to its end; returns what it used and its output.

    Raises:
        RuntimeError: It failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {errors.strip()[-500:]}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), output


def main() -> None:
    """Prints a table and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo")
    parser.add_argument("--model", help="an export or a run; by default the starter")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    caption = [args.python, "-m", "capsmith", "caption", *([args.model] if args.model else []), args.photo]
    commands = {"caption": caption, "imports": [args.python, "-c", IMPORTS], "python": [args.python, "-c", ""]}
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for turn in range(args.runs + 1):
        for name, command in commands.items():
            usage, output = measure(command)
            if turn:  # the first turn fills the file cache
                usages[name].append(usage)
            elif name == "caption":
                print(output.strip())
    medians = {
        name: Usage(*(statistics.median(column) for column in zip(*rows, strict=True))) for name, rows in usages.items()
    }
    for name, usage in medians.items():
        print(f"{name:8}  wall {usage.wall:.3f} s   CPU {usage.cpu:.3f} s   memory {usage.memory:.0f} MB")
    own, bare = medians["caption"], medians["imports"]
    sizes = json.loads(measure([args.python, "-c", _SIZES])[1])
    megabytes = {name: round(size / 1e6, 1) for name, size in sizes.items() if size is not None}
    print(f"ratio     wall {own.wall / bare.wall:.2f}     CPU {own.cpu / bare.cpu:.2f}")
    print(f"installed {', '.join(f'{name} {size} MB' for name, size in megabytes.items())}")
    warm = json.loads(measure([args.python, "-c", _WARM, args.photo, args.model or "", "40"])[1])
    for name, (wall, cpu) in warm.items():
        print(f"warm      {name:8} {wall:6.1f} ms   CPU {cpu:6.1f} ms")
    ratios = [caption / cnn for caption, cnn in zip(warm["caption"], warm["cnn"], strict=True)]
    print(f"warm      caption / CNN: {ratios[0]:.2f}, by CPU time {ratios[1]:.2f}")
    figures = {"wall": own.wall, "cpu": own.cpu, "memory_mb": own.memory, "imports_wall": bare.wall}
    print(json.dumps({**figures, "ratio_wall": own.wall / bare.wall, "warm_ms": warm, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
