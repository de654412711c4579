"""Which images train, which choose (dev), which are read once (test)."""

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from capsmith.core.errors import DataError
from capsmith.core.schema import Settings
from capsmith.data.files import locate, numbered_lines
from capsmith.data.records import DatasetConfig, SplitConfig

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
    """Text files with one image's name a line, as Flickr8k comes with."""

    train: Path = Path("Flickr_8k.trainImages.txt")
    """The images to train on, below ``root``."""
    dev: Path = Path("Flickr_8k.devImages.txt")
    """The images that choose the checkpoint."""
    test: Path = Path("Flickr_8k.testImages.txt")
    """The images that the reported scores come from."""


def split_name(word: str) -> str | None:
    """Returns ``train``, ``dev``, ``test``, or an empty string for none, whatever the spelling; else None."""
    return _SPELLINGS.get(word.strip().lower())


def read_lists(config: DatasetConfig, lists: SplitLists) -> dict[str, str]:
    """Reads the split of each listed image.

    Args:
        config: The dataset's settings; its ``root`` is where the lists are.
        lists: The names of the files.

    Returns:
        The split by image id, in the order of the files.

    Raises:
        DataError: A file is missing, or an image is in two lists.
    """
    found: dict[str, str] = {}
    for split in ("train", "dev", "test"):
        path = locate(config, getattr(lists, split), f"lists.{split}")
        for number, line in numbered_lines(path):
            image_id = line.strip()
            if found.setdefault(image_id, split) != split:
                raise DataError(
                    f"{path}, line {number}: {image_id} is in the list for {found[image_id]} too; "
                    "an image may be in one split only"
                )
    return found


def seeded_split(image_ids: Iterable[str], config: SplitConfig) -> dict[str, str]:
    """Splits images at random, in a way that does not depend on their order.

    Each image's place comes from a hash of the seed and its id; adding captions, or giving the rows in
    another order, moves no image.

    Args:
        image_ids: The images; repeated ids count once.
        config: The shares and the seed.

    Returns:
        The split by image id. From three images on, a share above zero gets at least one image; but
        ``config.together`` comes first, and a group too large for test and dev is trained on.
    """
    first = {unicodedata.normalize("NFC", name): group[0] for group in config.together for name in group}
    groups: dict[str, list[str]] = {}
    for name in sorted(set(image_ids)):
        groups.setdefault(first.get(name, name), []).append(name)
    ranked = sorted(groups, key=lambda name: (hashlib.sha256(f"{config.seed}:{name}".encode()).digest(), name))
    total = sum(map(len, groups.values()))
    test = min(_rounded(config.test, total), max(0, total - 1))
    dev = min(_rounded(config.dev, total), max(0, total - 1 - test))
    left = {"test": test, "dev": dev}
    found: dict[str, str] = {}
    for name in ranked:
        # a group may miss a split's size by no more than leaving it out would; the last one is left to train on
        fits = (split for split, room in left.items() if len(groups[name]) <= 2 * room and name != ranked[-1])
        split = next(fits, "train")
        if split in left:
            left[split] -= len(groups[name])
        found |= dict.fromkeys(groups[name], split)
    return found


def _rounded(share: float, total: int) -> int:
    least = 1 if share > 0 and total >= 3 else 0
    return max(least, int(share * total + 0.5))
