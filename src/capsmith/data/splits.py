"""Splits: the images for training (train), for choosing the checkpoint (dev), and for the final scores (test)."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from capsmith.core.errors import DataError
from capsmith.core.schema import Settings
from capsmith.data.files import locate, numbered_lines
from capsmith.data.records import SPLITS, DatasetConfig, SplitConfig

_SPELLINGS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "development": "dev",
    "test": "test",
    "testing": "test",
    "": "",
}


class SplitLists(Settings):
    """Text files with one image name per line, as in Flickr8k."""

    train: Path = Path("Flickr_8k.trainImages.txt")
    """The list of training images, below ``root``."""
    dev: Path = Path("Flickr_8k.devImages.txt")
    """The list of images that choose the checkpoint, below ``root``."""
    test: Path = Path("Flickr_8k.testImages.txt")
    """The list of images for the reported scores, below ``root``."""


def split_name(word: str) -> str | None:
    """Returns ``train``, ``dev``, ``test``, or "" for an empty word, in any usual spelling; None for other words."""
    return _SPELLINGS.get(word.strip().lower())


def read_lists(config: DatasetConfig, lists: SplitLists) -> dict[str, str]:
    """Reads split lists.

    Args:
        config: The settings of the dataset; the lists are below its ``root``.
        lists: The file names.

    Returns:
        The split by image id, in file order.

    Raises:
        DataError: A file is missing, or an image is in two lists.
    """
    splits: dict[str, str] = {}
    for split in ("train", "dev", "test"):
        path = locate(config, getattr(lists, split), f"lists.{split}")
        for number, line in numbered_lines(path):
            image_id = line.strip()
            if splits.setdefault(image_id, split) != split:
                raise DataError(
                    f"{path}, line {number}: {image_id} is also in the list for {splits[image_id]}; "
                    "an image may be in only one split"
                )
    return splits


def seeded_split(image_ids: Iterable[str], config: SplitConfig) -> dict[str, str]:
    """Splits images at random, independent of their order.

    The split of an image depends on a hash of the seed and its id: changing captions or reordering rows moves no image.

    Args:
        image_ids: The images; repeated ids count once.
        config: The fractions, the seed and the groups.

    Returns:
        The split by image id. With three images or more, each fraction above zero gets at least one image. But groups
        take precedence: a group too large for test and dev goes to train.
    """
    first = {unicodedata.normalize("NFC", name): group[0] for group in config.groups for name in group}
    groups: dict[str, list[str]] = {}
    for name in sorted(set(image_ids)):
        groups.setdefault(first.get(name, name), []).append(name)
    ranked = sorted(groups, key=lambda name: (hashlib.sha256(f"{config.seed}:{name}".encode()).digest(), name))
    total = sum(map(len, groups.values()))
    test = min(_rounded(config.test, total), max(0, total - 1))
    dev = min(_rounded(config.dev, total), max(0, total - 1 - test))
    room = {"test": test, "dev": dev}
    splits: dict[str, str] = {}
    for name in ranked:
        # a group may overfill a split by no more than the room that would stay empty without it; the last goes to train
        fits = (split for split, left in room.items() if len(groups[name]) <= 2 * left and name != ranked[-1])
        split = next(fits, "train")
        if split in room:
            room[split] -= len(groups[name])
        splits |= dict.fromkeys(groups[name], split)
    return splits


def seeded_split_codes(image_ids: Sequence[str], config: SplitConfig) -> np.ndarray:
    """Returns what ``seeded_split`` does, as places in ("", "train", "dev", "test"), for millions of different ids.

    Args:
        image_ids: Different ids.
        config: As for ``seeded_split``.
    """
    codes = {split: code for code, split in enumerate(("", *SPLITS))}
    if config.groups:
        splits = seeded_split(image_ids, config)
        return np.fromiter((codes[splits[name]] for name in image_ids), np.uint8, len(image_ids))
    digests = (hashlib.sha256(f"{config.seed}:{name}".encode()).digest() for name in image_ids)
    total = len(image_ids)
    ranked = np.argsort(np.frombuffer(b"".join(digests), ">u8").reshape(total, 4)[:, 0], kind="stable")
    test = min(_rounded(config.test, total), max(0, total - 1))
    dev = min(_rounded(config.dev, total), max(0, total - 1 - test))
    found = np.full(total, codes["train"], np.uint8)
    found[ranked[:test]], found[ranked[test : test + dev]] = codes["test"], codes["dev"]
    return found


def _rounded(fraction: float, total: int) -> int:
    least = 1 if fraction > 0 and total >= 3 else 0
    return max(least, int(fraction * total + 0.5))
