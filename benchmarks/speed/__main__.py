"""Measures capsmith against common alternatives: results/benchmarks/cpu.json, .md and .png, and results/summary.json.

    python -m benchmarks.speed [training extraction decoding latency growth profile] [--rounds 3] [--quick]

Each part interleaves its entrants in one run; ``contest.py`` defines what is measured. Two more parts run only when
named: ``far`` (growth to 64,000 images at every stage) and ``epoch`` (Flickr8k's captions once). The Keras backend
and its accelerator are used:

    KERAS_BACKEND=jax python -m benchmarks.speed training epoch --work 10 --without notebook --out gpu.json

Only complete runs on TensorFlow on a CPU are entered into the summary.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import parts, report
from benchmarks.speed.contest import How

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "results" / "benchmarks" / "cpu.json"


def main() -> int:
    """Runs the requested parts; figures of the others stay as they were."""
    every = parts.PARTS | parts.MORE
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(every))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=float, default=1.0, help="factor of the work per round: more for a fast machine")
    parser.add_argument("--quick", action="store_true", help="a fifth of the work per round, to try the command")
    parser.add_argument("--without", metavar="PATTERN", default="", help="leave out entrants whose name matches")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(every):
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(every)}")
    how = How(args.rounds, 0.2 if args.quick else args.work, _say, args.without)
    found: dict[str, Any] = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    found["machine"] = machine()
    for name in args.parts or parts.PARTS:
        run: Callable[[How], dict[str, Any]] = every[name]
        print(f"== {name}", file=sys.stderr, flush=True)
        found[name] = run(how)
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        for key, value in found[name]["ratios"].items():
            print(f"{key:44} {value:.3g}" if value is not None else f"{key:44} not measured")
    args.out.with_suffix(".md").write_text(report.tables(found), encoding="utf-8")
    report.plot(found, args.out.with_suffix(".png"))
    usual = found["machine"]["gpu"] is None and found["machine"]["backend"] == "tensorflow"
    if args.out == OUT and how.work >= 1 and usual and not how.without:
        report.enter(found, ROOT / "results" / "summary.json")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Returns a description of the machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    flags = next((line for line in lines if line.startswith("flags")), "")
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    found = {"cpu": model, "cores": os.cpu_count(), "has": has, "python": platform.python_version()}
    return found | {"backend": os.environ.get("KERAS_BACKEND", "tensorflow"), "gpu": gpu()}


def gpu() -> str | None:
    """Returns the name of the first NVIDIA card, None without one."""
    try:
        ask = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


if __name__ == "__main__":
    sys.exit(main())
