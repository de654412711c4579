"""``python -m benchmarks.serving``."""

import argparse
import sys

from benchmarks import serving
from benchmarks.serving import cold_start, soak, throughput


def main() -> int:
    """Runs one of the measurements; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=serving.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, module in (("throughput", throughput), ("soak", soak), ("cold-start", cold_start)):
        own = kinds.add_parser(name, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(own)
        own.set_defaults(measure=module.measure)
    args = parser.parse_args()
    return int(args.measure(args))


if __name__ == "__main__":
    sys.exit(main())
