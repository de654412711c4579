"""``capsmith list``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("kind", choices=("encoders", "decoders", "datasets", "metrics", "decodings", "configs"))


def run(args: argparse.Namespace) -> None:
    """Prints a name a line, with what it is."""
    from capsmith.terminal import need_output, say

    need_output("list")
    rows = _rows(args.kind)
    width = max(len(name) for name in rows)
    for name, description in rows.items():
        say(f"{name:{width}}  {description}".rstrip())


def _rows(kind: str) -> dict[str, str]:
    from capsmith import config
    from capsmith.features.encoders import ENCODERS
    from capsmith.metrics import METRICS

    if kind == "encoders":
        return {
            name: f"{spec.size[0]}×{spec.size[1]} px  {spec.description}" if spec.size else spec.description
            for name, spec in ENCODERS.items()
        }
    if kind == "metrics":
        return dict(METRICS)
    if kind == "configs":
        found = {path.name: path for folder in reversed(config.config_folders()) for path in folder.glob("*.yaml")}
        return {name: _first_line(path) for name, path in sorted(found.items())}
    return {"decoders": config.DECODERS, "datasets": config.DATASETS, "decodings": config.DECODINGS}[kind].describe()


def _first_line(path: Path) -> str:
    from capsmith.readers.regular_files import SMALL_FILE, read_text

    try:
        lines = read_text(path, SMALL_FILE, errors="replace").splitlines()
    except OSError as error:
        return f"(cannot be read: {error.strerror or error})"
    return lines[0].lstrip("# ") if lines else ""
