"""Measures how long the command line takes to answer: the median of several fresh processes.

python -m benchmarks.startup
"""

import statistics
import subprocess
import sys
import time

RUNS = 9


def seconds(*arguments: str, runs: int = RUNS) -> float:
    """Returns the median wall time of ``capsmith ARGUMENTS`` in seconds."""
    command = [sys.executable, "-m", "capsmith", *arguments]
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first fills the file cache


if __name__ == "__main__":
    for verb in (
        ("--help",),
        ("--version",),
        ("list", "decoders"),
        ("validate", "--config", "flickr8k.yaml", "--no-files"),
    ):
        print(f"{seconds(*verb):6.3f} s   capsmith {' '.join(verb)}")
