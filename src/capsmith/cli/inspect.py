"""``capsmith inspect``."""

import argparse
from pathlib import Path

from capsmith.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the page (default: inspect/NAME-OF-CONFIG)")
    parser.add_argument("--images", type=int, default=24, metavar="N", help="number of images shown (default: 24)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of images and variants")
    parser.add_argument(
        "--augment",
        action="store_true",
        help="also show images as varied by training.cached_crops or training.augment",
    )
    parser.add_argument("--fast", action="store_true", help="read the captions only: do not decode the images")


def run(args: argparse.Namespace) -> None:
    """Reads a config's dataset; writes a page about it."""
    from capsmith.config import Config, load_config, of_kind
    from capsmith.core.errors import ConfigError
    from capsmith.core.input_files import input_files
    from capsmith.core.outputs import require_page
    from capsmith.core.terminal import print_line, print_path
    from capsmith.data.onboarding.statistics import compute_statistics
    from capsmith.data.onboarding.summary import describe
    from capsmith.data.records import read_dataset
    from capsmith.evaluation.augmentation_page import Variants
    from capsmith.evaluation.dataset_page import write_inspection

    if args.images < 0 or args.seed < 0:
        raise ConfigError("--images and --seed take numbers from 0")
    config = load_config(args.config, args.set)
    directory = args.out or Path("inspect") / Path(args.config).stem
    require_page(directory, "--out", input_files(config))
    data = config.data.model_copy(update={"max_bad_fraction": 1.0})  # show all problems
    found = compute_statistics(read_dataset(data), config.text, images=not args.fast)
    for line in describe(found):
        print_line(line)
    title = f"{Path(args.config).stem}: the data"
    variants = Variants(of_kind(config, Config, args.config), found, args.seed) if args.augment else None
    print_path(write_inspection(directory, title, found, args.images, args.seed, variants))
