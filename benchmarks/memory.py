"""Runs a capsmith command and prints its wall time and peak memory as measured by the operating system.

python -m benchmarks.memory train --config flickr8k.yaml --set data.root=…
"""

import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    start = time.perf_counter()
    code = subprocess.run([sys.executable, "-m", "capsmith", *sys.argv[1:]]).returncode
    minutes = (time.perf_counter() - start) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"{minutes:.1f} minutes, peak memory {peak:.2f} GB, exit code {code}", file=sys.stderr)
    sys.exit(code)
