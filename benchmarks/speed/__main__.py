"""Measures how fast capsmith is beside the usual ways: results/benchmarks.json, .md and .png, and results/summary.json.

    python -m benchmarks.speed [training extraction decoding latency growth profile] [--rounds 3] [--quick]

Each part runs its ways turn by turn in one go; see ``contest.py`` for what counts.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import parts, report

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "results" / "benchmarks.json"


def main() -> int:
    """Runs the parts asked for; figures of the others stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts.PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work a round: to try the command out")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(parts.PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(parts.PARTS)}")
    found: dict[str, Any] = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    found["machine"] = machine()
    for name in args.parts or parts.PARTS:
        run: Callable[..., dict[str, Any]] = parts.PARTS[name]
        print(f"== {name}", file=sys.stderr, flush=True)
        found[name] = run(
            args.rounds, 0.2 if args.quick else 1.0, lambda line: print(line, file=sys.stderr, flush=True)
        )
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        for key, value in found[name]["ratios"].items():
            print(f"{key:44} {value:.3g}" if value is not None else f"{key:44} not measured")
    args.out.with_suffix(".md").write_text(report.tables(found), encoding="utf-8")
    report.plot(found, args.out.with_suffix(".png"))
    if args.out == OUT and not args.quick:
        report.enter(found, OUT.with_name("summary.json"))
    return 0


def machine() -> dict[str, Any]:
    """Returns what the figures are of."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    flags = next((line for line in lines if line.startswith("flags")), "")
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return {"cpu": model, "cores": os.cpu_count(), "has": has, "python": platform.python_version()}


if __name__ == "__main__":
    sys.exit(main())
