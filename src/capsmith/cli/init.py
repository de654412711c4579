"""``capsmith init``."""

import argparse
import os
import re
import shlex
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of the images, at any depth")
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="CSV, TSV, JSON, JSON lines, or a folder with one .txt per image; by default a file found in FOLDER",
    )
    parser.add_argument("--out", type=Path, metavar="CONFIG", help="the config to write (default: NAME-OF-FOLDER.yaml)")
    parser.add_argument("--force", action="store_true", help="replace an existing config")


def run(args: argparse.Namespace) -> None:
    """Reads a folder, prints a summary, and writes a config that trains on it."""
    from capsmith.config import is_config
    from capsmith.core.config_files import shipped_configs
    from capsmith.core.errors import ConfigError
    from capsmith.core.files import write_text
    from capsmith.core.outputs import require_replaceable
    from capsmith.core.terminal import print_line
    from capsmith.data.onboarding.init import init_config
    from capsmith.data.onboarding.summary import describe

    name = re.sub(r"[^\w.-]+", "_", os.path.basename(os.path.realpath(args.folder)), flags=re.ASCII).strip("_.-")
    out = args.out or Path(f"{name or 'mine'}.yaml")
    if args.out is None and out.name in shipped_configs():
        out = Path(f"my_{out.name}")  # otherwise --config would be ambiguous
    if out.suffix not in (".yaml", ".yml") or not str(out).isprintable():
        raise ConfigError(f"--out {out}: the name of a config ends in .yaml")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: no folder {out.parent}: create it, or choose another")
    if os.path.lexists(out) and not args.force:
        raise ConfigError(f"{out} exists: use --force to replace it, or --out for another name")
    require_replaceable(out, is_config, "--out", [args.captions] if args.captions else [])
    layout, found, text = init_config(args.folder, args.captions, out)
    for line in describe(found, layout):
        print_line(line)
    write_text(out, text)
    quoted = shlex.quote(f"./{out}" if str(out).startswith("-") else str(out))
    print_line("")
    print_line(f"{out} is a config for them; to train:")
    print_line(f"  capsmith train --config {quoted}")
