"""Options of ``capsmith caption`` for millions of images: a sharded job, on this machine or on a cluster."""

import argparse
from pathlib import Path

_WITHOUT = ("write", "show", "attention", "overwrite", "skip_done", "in_place")
_MAX_REPORTED = 20  # unreadable images that are listed
_MAX_SEARCHED = 1_000  # shards that are searched for them
_MAX_BATCH = 4096


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    group = parser.add_argument_group(
        "millions of images",
        "Captions go into Parquet files in --output, one for each block of images; the same command goes on where a "
        "killed one stopped.",
    )
    group.add_argument(
        "--input",
        metavar="FOLDER|FILE|PATTERN",
        help="a folder of images, Parquet files or WebDataset tars; one such file, or a pattern; local, or an address "
        "such as s3://BUCKET/FOLDER",
    )
    group.add_argument(
        "--engine",
        metavar="local|ray",
        help="where images are captioned: in this process (the default), or by --workers processes of a Ray cluster, "
        "that of RAY_ADDRESS or of this machine",
    )


def require_local(args: argparse.Namespace) -> None:
    """Refuses options of a sharded job without its input.

    Raises:
        ConfigError: There are such.
    """
    from capsmith.core.errors import ConfigError

    if args.engine is not None:
        raise ConfigError(f"--engine {args.engine} needs --input and --output: it captions into shards")
    if isinstance(args.output, str):
        raise ConfigError(f"--output {args.output} needs --input: only shards can be written to such an address")
    for image in args.images:
        if "://" in image:
            raise ConfigError(
                f"{image} is not a file of this machine: name it with --input, and a folder with --output"
            )


def caption_into_shards(args: argparse.Namespace) -> int:
    """Captions the images of ``--input`` into shards, and says how many; returns the exit code."""
    from itertools import islice

    from capsmith.cli.caption_model import caption_model
    from capsmith.cli.folder_options import report_failures
    from capsmith.core.errors import ImageError
    from capsmith.core.terminal import print_error, print_json, print_line
    from capsmith.deploy.batch.captions import caption_shards
    from capsmith.deploy.batch.places import Place
    from capsmith.deploy.batch.shards import failures

    models = _models(args)
    _check(args)
    model = caption_model(args, models)
    for note in model.notes():
        print_error(f"note: {note}")
    report = caption_shards(
        model, args.input, args.output, args.engine or "local", args.workers, args.recursive, args.batch_size
    )
    if args.json:
        print_json({"output": str(args.output), "shards": report.blocks, "rows": report.rows, "failed": report.failed})
    else:
        unreadable = f", {report.failed:,} unreadable image{_s(report.failed)}" if report.failed else ""
        shards = f"{report.blocks:,} shard{_s(report.blocks)}"
        print_line(f"{args.output}: {report.rows:,} caption{_s(report.rows)} in {shards}{unreadable}")
    if not report.failed:
        return 0
    searched = range(min(report.blocks, _MAX_SEARCHED))
    found = list(islice(failures(Place(args.output), searched), _MAX_REPORTED))
    report_failures([ImageError(f"{name}: {reason}") for name, reason in found])
    if report.failed > len(found):
        print_error(f"capsmith: and {report.failed - len(found):,} more of {report.failed:,} unreadable images")
    return 2


def _models(args: argparse.Namespace) -> list[str | Path]:
    """Returns the models; there are no images beside them.

    Raises:
        ConfigError: There are images.
    """
    from capsmith.core.errors import ConfigError
    from capsmith.deploy.starter import is_for_starter
    from capsmith.models.external.names import is_external, model_argument
    from capsmith.models.model_paths import is_model

    models = [args.run, *map(model_argument, args.images)]
    for number, model in enumerate(models):
        if is_external(model) or is_model(model):
            continue
        if number or is_for_starter(Path(model)):
            image = args.images[number - 1] if number else model
            raise ConfigError(f"{image} and --input {args.input} both name images: use one of them")
    return models


def _check(args: argparse.Namespace) -> None:
    """Checks the other options.

    Raises:
        ConfigError: They contradict ``--input``, or a number is out of range.
    """
    from capsmith.core.errors import ConfigError

    for name in _WITHOUT:
        if getattr(args, name):
            raise ConfigError(
                f"--{name.replace('_', '-')} does not go with --input, which captions into Parquet files in --output"
            )
    if args.output is None:
        raise ConfigError(f"--input {args.input} needs --output: a folder, or an address such as s3://BUCKET/FOLDER")
    if args.batch_size is not None and not 1 <= args.batch_size <= _MAX_BATCH:
        raise ConfigError(f"--batch-size {args.batch_size}: a number from 1 to {_MAX_BATCH:,}")


def _s(count: int) -> str:
    return "" if count == 1 else "s"
