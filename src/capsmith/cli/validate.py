"""``capsmith validate``."""

import argparse

from capsmith.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)
    parser.add_argument(
        "--no-files", action="store_true", help="do not check that the files and folders in the config exist"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing if the config is valid")


def run(args: argparse.Namespace) -> None:
    """Checks a config; prints it with all defaults."""
    from capsmith.cli.named_files import require_files
    from capsmith.config import find_config, load_config
    from capsmith.core.terminal import print_line, print_text
    from capsmith.core.yaml_io import dump_yaml

    config = load_config(args.config, args.set)
    if not args.no_files:
        require_files(config, str(find_config(args.config)))
    if not args.quiet:
        print_line(f"# {find_config(args.config)} is valid; with all defaults it is:")
        print_text(dump_yaml(config.model_dump(mode="json")).removesuffix("\n"))
