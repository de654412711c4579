"""Plays all attacks of ``tests/attacks`` on running servers: the caption service, with and without keys, the studio.

Each server is a process of its own on this machine's loopback address. After every attack a good photo must get its
caption within two seconds, and the memory that the server took meanwhile must be bounded. Prints a line for each attack
and what was not handled; exits with 1 if there is any.

    python -m benchmarks.attacks [--only serve keyed studio] [--name WORD] [--quick] [--write summary_part.json]
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests import attacks  # noqa: E402

COMMAND = "python -m benchmarks.attacks"
PATIENCE = 2.0
"""Seconds within which a good photo must be captioned afterwards."""
MEMORY = 700_000_000
"""Bytes that an attack may make a server take: one image of 40 megapixels and 32 uploads of 10 MB."""
KEPT = 200_000_000
"""Bytes that a server may keep after all attacks; onnxruntime keeps what its largest batch took."""
TRIED = "attacks on running servers: bombs, polyglots, malformed forms, JSON and HTTP, slow and many clients, paths, "
TRIED += "origins, keys, stored scripts"
HANDLED = "of these answered by an expected status and a problem document or by closing the connection, with a correct "
HANDLED += f"caption within {PATIENCE:g} s afterwards and at most {MEMORY / 1e6:,.0f} MB of memory"


def main() -> int:
    """Plays the attacks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=attacks.SERVERS, help="attack only these servers")
    parser.add_argument("--name", default="", help="play only attacks whose name contains this")
    parser.add_argument("--quick", action="store_true", help="leave out the slow ones")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the two figures as JSON")
    args = parser.parse_args()
    tried = handled = 0
    for name in args.only or attacks.SERVERS:
        cases = [case for case in attacks.load(name) if args.name in case.name and not (args.quick and case.slow)]
        if cases:
            tried += len(cases) + 1  # the last is what is left at the end
            handled += _attack(name, cases)
    print(f"{handled} of {tried} attacks handled")
    if args.write:
        figures = {"serve.attacks_tried": (tried, TRIED), "serve.attacks_handled": (handled, HANDLED)}
        summary = {
            name: {"value": value, "unit": "", "command": COMMAND, "note": note}
            for name, (value, note) in figures.items()
        }
        args.write.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(handled != tried)


def _attack(name: str, cases: list[attacks.Attack]) -> int:
    """Plays attacks on a server; returns how many of them were handled."""
    handled = 0
    with tempfile.TemporaryDirectory() as folder, attacks.target(name, Path(folder)) as server:
        print(f"{name}: {server.base / 1e6:,.0f} MB at the start")
        print(f"{'':5} {'kind':9} {'seconds':>7} {'caption':>7} {'memory':>6}  {'answers':19} attack")
        for case in cases:
            start = time.perf_counter()
            outcome = attacks.carry_out(case, server, PATIENCE, MEMORY)
            seconds = time.perf_counter() - start
            answers = " ".join(map(str, sorted(set(outcome.statuses))))
            word = "FAULT" if outcome.faults else "fine"
            figures = f"{seconds:7.1f} {outcome.caption_seconds:7.2f} {outcome.peak / 1e6:6,.0f}"
            print(f"{word:5} {case.kind:9} {figures}  {answers:19} {case.name}", flush=True)
            for fault in outcome.faults:
                print(f"      {fault.replace(folder, '…')}")
            handled += not outcome.faults
        kept = server.resident() - server.base
        code = server.stop()
        word = "fine" if code == 0 and kept <= KEPT else "FAULT"
        print(f"{word:5} {name}: {kept / 1e6:+,.0f} MB at the end, ended by SIGTERM with exit code {code}\n")
        return handled + (word == "fine")


if __name__ == "__main__":
    raise SystemExit(main())
