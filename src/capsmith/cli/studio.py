"""``capsmith studio``."""

import argparse
from pathlib import Path
from typing import Any

from capsmith.cli.options import add_plugin, add_set

_MAX_WORKERS = 64
_SHOWN = 5  # folders and files that are named in notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="[RUN]",
        help="the run directory, export or saved ensemble that proposes captions; by default the starter, the model "
        "that comes with capsmith",
    )
    parser.add_argument(
        "--images", type=Path, required=True, dest="folder", metavar="FOLDER", help="the images, at any depth"
    )
    parser.add_argument(
        "--project",
        type=Path,
        metavar="FOLDER",
        help="where captions and edits are kept; by default .capsmith-studio in the folder of the images",
    )
    parser.add_argument(
        "--propose-again",
        action="store_true",
        help="also caption images for which another model proposed; what a person wrote or accepted stays",
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of the folder, at any depth (the default)",
    )
    server = parser.add_argument_group("the page")
    server.add_argument("--host", default="127.0.0.1", help="address to listen on; by default only this machine's own")
    server.add_argument("--port", type=int, default=8001, metavar="N", help="port (default 8001; 0 finds a free one)")
    server.add_argument("--open", action="store_true", help="open the page in a browser")
    server.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name by which the page may be addressed, or * for any; may be repeated",
    )
    server.add_argument("--threads", type=int, metavar="N", help="threads of an export (default: one for each core)")
    server.add_argument("--workers", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    exports = parser.add_argument_group("exports")
    exports.add_argument(
        "--export", metavar="FORMAT,…", help="write the captions into files and end: csv, jsonl, txt, xmp"
    )
    exports.add_argument("--output", type=Path, metavar="FOLDER", help="where exports go; by default with the images")
    exports.add_argument("--overwrite", action="store_true", help="let exports replace files of other programs")
    add_set(parser)
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the studio until it is interrupted, or writes exports."""
    from capsmith.core.errors import ConfigError

    if not args.folder.is_dir():
        what = "is not a folder" if args.folder.exists() else "does not exist"
        raise ConfigError(f"--images {args.folder} {what}: name a folder of images")
    if args.export is not None:
        return _export(args)
    for name in ("output", "overwrite"):
        if getattr(args, name):
            raise ConfigError(f"--{name} needs --export: exports of the page go beside the images")
    for name in ("workers", "threads"):
        if getattr(args, name) is not None and not 1 <= getattr(args, name) <= _MAX_WORKERS:
            raise ConfigError(f"--{name} {getattr(args, name)}: a number from 1 to {_MAX_WORKERS}")
    return _serve(args)


def _serve(args: argparse.Namespace) -> int:
    from capsmith.core.starter import STARTER, starter_folder
    from capsmith.core.terminal import print_error, print_line
    from capsmith.deploy.folder.selection import select
    from capsmith.deploy.serving.listening import address_of, is_loopback, listen
    from capsmith.deploy.serving.loading import prepare
    from capsmith.deploy.serving.models import named_paths
    from capsmith.deploy.serving.server import require_packages, serve
    from capsmith.deploy.serving.settings import ServeSettings
    from capsmith.deploy.studio.fingerprint import external_fingerprint, fingerprint
    from capsmith.deploy.studio.project import project_folder
    from capsmith.deploy.studio.scan import take_over
    from capsmith.deploy.studio.store import Store

    require_packages("capsmith studio")  # before a project is created
    (model,) = named_paths([args.run] if args.run else [])
    settings = ServeSettings(args.host, args.port, tuple(args.allowed_host), threads=args.threads, workers=args.workers)
    load = prepare(model, settings, args.set, _load_keras)
    selection = select([args.folder], args.recursive).rooted()
    for error in selection.failed[:_SHOWN]:
        print_error(f"note: {error}")
    sockets = listen(settings.host, settings.port)
    try:
        if not is_loopback(sockets):
            print_error("note: other machines can see and change these captions")
        address = address_of(sockets)
        with Store.open(project_folder(args.folder, args.project), args.folder) as store:
            if not args.run:
                from capsmith.deploy.starter import introduction

                print_error(introduction().replace("capsmith caption RUN IMAGE", "capsmith studio --images FOLDER RUN"))
            named = STARTER if model.path == starter_folder() else str(model.path.absolute())
            store.keep_model([model.external or named])
            identity = (
                external_fingerprint(model.external, args.set) if model.external else fingerprint(model.path, args.set)
            )
            take_over(store, selection, identity, args.propose_again)

            def make_app(models: Any, limits: Any) -> Any:
                from capsmith.deploy.studio.app import studio_app
                from capsmith.deploy.studio.retrain import Retrain
                from capsmith.deploy.studio.studio import Studio

                again, retraining = args.propose_again, Retrain(store.project)
                studio = Studio(store, models, identity, again, args.workers, args.recursive, retraining)
                return studio_app(studio, limits)

            def started() -> None:
                print_line(f"studio of {args.folder} at {address}")
                if args.open:
                    _open(address)

            serve(sockets, {model.name: load}, settings, make_app, started)
    finally:
        for one in sockets:
            one.close()
    return 0


def _export(args: argparse.Namespace) -> int:
    """Writes what the project holds, also while a studio has it open."""
    from capsmith.core.errors import printable
    from capsmith.core.terminal import print_error, print_error_message, print_path
    from capsmith.deploy.studio.exports import export_captions
    from capsmith.deploy.studio.project import find_project
    from capsmith.deploy.studio.store import Store

    with Store.read(find_project(args.project or args.folder)) as store:
        formats = [name.strip().lower().removeprefix(".") for name in args.export.split(",")]
        done = export_captions(store, formats, args.output, args.overwrite)
    for path in done.tables:
        print_path(path)
    for name, count in done.sidecars.items():
        print_error(f"{count:,} .{name} files")
    if done.kept:
        names = ", ".join(done.kept[:_SHOWN]) + (", …" if len(done.kept) > _SHOWN else "")
        print_error(f"note: kept {len(done.kept):,} files that capsmith did not write, or that were edited ({names})")
    for error in done.failed[:_SHOWN]:
        print_error_message(f"capsmith: {printable(error)}")
    return 2 if done.kept or done.failed else 0


def _open(address: str) -> None:
    """Opens a browser, which may take a while."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _load_keras() -> None:
    from capsmith.cli.keras_import import load_keras

    load_keras()
