"""Options of ``capsmith caption`` that say what the captions should be; each is a setting of ``decoding``."""

import argparse
from pathlib import Path
from typing import Any


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group("what the captions should be")
    group.add_argument("--prefix", metavar="TEXT", help='every caption begins with it, as in --prefix "a photo of"')
    group.add_argument(
        "--include",
        action="append",
        metavar="WORDS",
        help="every caption contains this word or phrase, or one of several: 'dog|puppy'; may be repeated",
    )
    group.add_argument(
        "--exclude", action="append", metavar="WORDS", help="no caption contains this word or phrase; may be repeated"
    )
    group.add_argument("--exclude-words", type=Path, metavar="FILE", help="a text file of them, one a line")
    group.add_argument("--min-length", type=int, metavar="N", help="shortest caption in tokens")
    group.add_argument("--max-length", type=int, metavar="N", help="longest caption in tokens")
    group.add_argument("--n", type=int, metavar="N", help="return N different captions of each image, best first")


def overrides_of(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of ``decoding`` that the options change, as ``Captioner.caption`` takes them."""
    given = {
        "prefix": args.prefix,
        "include": args.include,
        "exclude": args.exclude,
        "exclude_file": None if args.exclude_words is None else str(args.exclude_words),
        "min_length": args.min_length,
        "max_length": args.max_length,
        "n": args.n,
    }
    return {name: value for name, value in given.items() if value is not None}
