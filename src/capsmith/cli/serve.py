"""``capsmith serve``."""

import argparse
import re
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin, add_set

_SIZES = {"": 1, "B": 1, "K": 10**3, "KB": 10**3, "M": 10**6, "MB": 10**6, "G": 10**9, "GB": 10**9}
_LEAST_UPLOAD, _MOST_UPLOAD = 10**4, 10**9
_NUMBERS = {
    "max_images": (1, 1_000),
    "max_batch": (1, 256),
    "max_queue": (1, 100_000),
    "workers": (1, 64),
    "threads": (1, 256),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "models",
        nargs="*",
        metavar="[NAME=]RUN",
        help="run directories, exports or saved ensembles, each a model of its own, the first by default; without any "
        "the starter, the model that comes with capsmith",
    )
    finding = parser.add_argument_group("recommendations and search")
    finding.add_argument(
        "--recommend",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="recommend captions by the run of a joint embedding; repeat for an ensemble",
    )
    finding.add_argument("--engine", metavar="clip:MODEL", help="recommend captions by a CLIP model instead")
    finding.add_argument(
        "--captions",
        action="append",
        default=[],
        metavar="[NAME=]LIBRARY",
        help="a library of captions, as for capsmith recommend; may be repeated; by default the example library",
    )
    finding.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="[NAME=]INDEX",
        help="search the images of an index that capsmith index made; may be repeated",
    )
    finding.add_argument(
        "--detector",
        metavar="MODEL.onnx",
        help="detect objects, and describe images by caption, objects, index and library together",
    )
    parser.epilog = (
        "Ctrl-C or SIGTERM answers what was accepted and ends with exit code 0; a second Ctrl-C ends at once."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="HOST", help="address to listen on; by default only this machine's own"
    )
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="port (default 8000; 0 finds a free one)")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="a text file of API keys, one a line")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name by which the service may be addressed, or * for any; may be repeated",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-upload", default="10MB", metavar="SIZE", help="largest request (default 10MB)")
    limits.add_argument("--max-images", type=int, metavar="N", help="most images in one request (default 16)")
    limits.add_argument("--max-queue", type=int, metavar="N", help="most images that wait for a model (default 64)")
    limits.add_argument("--max-batch", type=int, metavar="N", help="most images computed at once (default 16)")
    limits.add_argument(
        "--threads", type=int, metavar="N", help="threads of an export's CNN (default: one fewer than cores)"
    )
    limits.add_argument("--workers", type=int, metavar="N", help="threads that decode images (default 2)")
    parser.add_argument("--verbose", action="store_true", help="print a line for each request, without its content")
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from capsmith.core.terminal import print_error, print_line
    from capsmith.deploy.serving.listening import address_of, is_loopback, listen
    from capsmith.deploy.serving.loading import prepare
    from capsmith.deploy.serving.models import named_paths
    from capsmith.deploy.serving.server import serve

    settings = settings_of(args)
    models = named_paths(args.models)
    loads = {model.name: prepare(model, settings, args.set, _load_keras) for model in models}
    embeddings = _embeddings(args, settings)
    sockets = listen(settings.host, settings.port)
    if not (settings.keys or is_loopback(sockets)):
        print_error("note: other machines can use this service, as no API key is set: see --api-key-file")
    if not args.models:
        from capsmith.deploy.starter import introduction

        print_error(introduction().replace("capsmith caption RUN IMAGE", "capsmith serve RUN"))
    line = f"serving {', '.join(loads)} at {address_of(sockets)}"
    serve(sockets, loads, settings, started=lambda: print_line(line), embeddings=embeddings)
    return 0


def _embeddings(args: argparse.Namespace, settings: Any) -> Any:
    """Returns the libraries and indexes to load; None if no option names any."""
    if not (args.recommend or args.engine or args.captions or args.search or args.detector):
        return None
    from capsmith.deploy.serving.embedding.loading import Finding, embeddings_of

    finding = Finding(args.recommend, args.engine, args.captions, args.search, args.detector)
    return embeddings_of(finding, settings, _load_keras)


def settings_of(args: argparse.Namespace) -> Any:
    """Returns the limits that the options set.

    Raises:
        ConfigError: One is invalid, or the file of keys cannot be read.
    """
    from capsmith.core.errors import ConfigError
    from capsmith.deploy.serving.settings import ServeSettings

    given = {name: getattr(args, name) for name in _NUMBERS if getattr(args, name) is not None}
    for name, value in given.items():
        least, most = _NUMBERS[name]
        if not least <= value <= most:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: a number from {least} to {most:,}")
    keys: tuple[str, ...] = ()
    if args.api_key_file is not None:
        from capsmith.deploy.serving.keys import read_keys

        keys = read_keys(args.api_key_file)
    return ServeSettings(
        host=args.host,
        port=args.port,
        hosts=tuple(args.allowed_host),
        keys=keys,
        max_upload=bytes_of(args.max_upload, "--max-upload"),
        verbose=args.verbose,
        **given,
    )


def bytes_of(text: str, option: str) -> int:
    """Returns a size such as ``10MB`` in bytes.

    Raises:
        ConfigError: It is not a size, or far from any use.
    """
    from capsmith.core.errors import ConfigError

    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s?([A-Za-z]{0,2})", text.strip())
    if match is None or match[2].upper() not in _SIZES:
        raise ConfigError(f"{option} {text[:40]}: write a size such as 10MB or 500KB")
    size = int(float(match[1]) * _SIZES[match[2].upper()])
    if not _LEAST_UPLOAD <= size <= _MOST_UPLOAD:
        raise ConfigError(f"{option} {text[:40]}: a size from 10KB to 1GB")
    return size


def _load_keras() -> None:
    from capsmith.cli.keras_import import load_keras

    load_keras()
