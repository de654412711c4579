"""Fuzzes all readers of files: for any bytes, a reader returns a result or raises an error of one line.

    pip install atheris
    python -m benchmarks.fuzz [--seconds 60] [--only image table …] [--write summary_part.json]

Each reader gets valid files and then libFuzzer's mutations, guided by code coverage. A result and a ``CapsmithError``
of one printable line are fine. Any other exception, and ten seconds without an answer, is a crash, whose input is kept
in ``fuzzed/``. Exits with 1 if there was a crash.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

COMMAND = "python -m benchmarks.fuzz"
KEPT = Path("fuzzed")
READERS = f"{__package__}.fuzz_readers" if __package__ else "fuzz_readers"  # a module, or a script in its folder
SELF = ["-m", f"{__package__}.fuzz"] if __package__ else [__file__]
Reader = Callable[[Path], object]


def readers() -> dict[str, tuple[str, list[bytes], Reader]]:
    """Returns by name: the file name that a reader expects, valid examples, and the reader, given the file's path."""
    found: dict[str, tuple[str, list[bytes], Reader]] = importlib.import_module(READERS).READERS
    return found


def main() -> int:
    """Fuzzes the readers in turn, each in its own process; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", nargs="*", default=[], metavar="READER")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the two figures as JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args, rest = parser.parse_known_args()
    if args.one:
        fuzz(args.one, rest)
    executions = crashes = 0
    for name in readers():
        if args.only and name not in args.only:
            continue
        runs, crash = _fuzzed(name, args.seconds)
        executions, crashes = executions + runs, crashes + bool(crash)
        print(f"{name:12} {runs:>9,} executions  {crash or 'no crash'}", flush=True)
    if args.write:
        figures = {
            "robust.fuzz_executions": (executions, "inputs that the readers of files were given by libFuzzer"),
            "robust.fuzz_crashes": (crashes, "readers that answered one with anything but a result or one clear line"),
        }
        part = {name: {"value": n, "unit": "", "command": COMMAND, "note": note} for name, (n, note) in figures.items()}
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return int(crashes > 0)


def _fuzzed(name: str, seconds: int) -> tuple[int, str]:
    """Fuzzes a reader in another process; returns the number of inputs, and the last line of a crash."""
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, example in enumerate(readers()[name][1]):
            (Path(corpus) / str(number)).write_bytes(example)
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"]
        command = [sys.executable, *SELF, "--one", name, corpus, *limits, f"-artifact_prefix={KEPT / name}-"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    stats = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    runs = int(stats.group(1)) if stats else 0
    if done.returncode == 0 and runs:
        return runs, ""
    both = done.stderr + "\n" + done.stdout  # libFuzzer says that it ended on the first, atheris why on the second
    said = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Warning)\b.*|^.*ERROR: libFuzzer.*", both, re.MULTILINE)
    return runs, (said or done.stderr.splitlines() or ["nothing was said"])[-1][:200]


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzzes a reader in this process, which then ends."""
    import atheris

    with atheris.instrument_imports(include=["capsmith"]):
        file, _, read = readers()[name]
    from capsmith.core.errors import CapsmithError, printable

    place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / file

    def once(data: bytes) -> None:
        place.write_bytes(data)
        try:
            read(place)
        except CapsmithError as error:
            if not printable(error).strip():
                raise AssertionError("an error without a message") from error

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
