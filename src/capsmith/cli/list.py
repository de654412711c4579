"""``capsmith list``."""

import argparse
from pathlib import Path

from capsmith.cli.options import add_plugin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "kind", choices=("encoders", "decoders", "datasets", "metrics", "decodings", "rerankers", "configs", "plugins")
    )
    add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Prints one name per line with a description."""
    from capsmith.core.terminal import print_line, require_output

    require_output("list")
    rows = _plugins() if args.kind == "plugins" else _rows(args.kind)
    width = max((len(name) for name in rows), default=0)
    for name, description in rows.items():
        print_line(f"{name:{width}}  {description}".rstrip())


def _rows(kind: str) -> dict[str, str]:
    import capsmith.config  # noqa: F401  it registers the components
    from capsmith.core.config_files import config_folders
    from capsmith.core.registry import REGISTRIES
    from capsmith.metrics import METRICS
    from capsmith.vision.encoders import ENCODERS

    if kind == "encoders":
        return {
            name: f"{spec.size[0]}×{spec.size[1]} px  {spec.description}" if spec.size else spec.description
            for name, spec in ENCODERS.items()
        }
    if kind == "metrics":
        return {name: entry.description for name, entry in METRICS.items()}
    if kind == "configs":
        paths = {path.name: path for folder in reversed(config_folders()) for path in folder.glob("*.yaml")}
        return {name: _first_line(path) for name, path in sorted(paths.items())}
    return REGISTRIES[kind.removesuffix("s")].describe()


def _plugins() -> dict[str, str]:
    """Returns the installed plugins, without loading them, and the components of the loaded plugins."""
    from capsmith.core.errors import escaped
    from capsmith.core.loaded_plugins import loaded_plugins
    from capsmith.core.plugin_sources import installed

    rows = {}
    for name, points in installed().items():
        packages = (f"{point.dist.name} {point.dist.version}" if point.dist else point.value for point in points)
        rows[escaped(name)] = escaped(f"installed by {', '.join(packages)}; --plugin {name} loads it")
    for plugin, names in loaded_plugins():
        parts = ", ".join(f"{kind} {name}" for kind, name in sorted(names)) or "layers for encoders of type custom"
        rows[escaped(plugin.name)] = escaped(f"loaded: {parts}")
    return rows


def _first_line(path: Path) -> str:
    from capsmith.core.readers.regular_files import SMALL_FILE, read_text

    try:
        lines = read_text(path, SMALL_FILE, errors="replace").splitlines()
    except OSError as error:
        return f"(cannot be read: {error.strerror or error})"
    return lines[0].lstrip("# ") if lines else ""
