"""Trees of class names and their arguments, which keras-hub would build: checked before it sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.json_files import read_json
from capsmith.vision.hub.presets import ADVICE, SHARDS

_DEEPEST, _LONGEST = 32, 20_000  # levels of a tree, and its number of values


def check_tree(tree: Any, path: Path, largest: int, check: Callable[[dict[str, Any], Path], None]) -> None:
    """Checks that a tree consists of plain values and known classes, within bounds.

    Args:
        tree: The tree.
        path: Its file, for messages.
        largest: The largest number.
        check: Raises CheckpointError for an object of the tree that is not one of the known classes.

    Raises:
        CheckpointError: It does not.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("config"), dict):
        raise CheckpointError(f"{path} is damaged: it describes no model; {ADVICE}")
    left, seen = [(tree, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if depth > _DEEPEST or seen > _LONGEST:
            raise CheckpointError(f"{path} is damaged: it is nested too deeply or too long; {ADVICE}")
        if isinstance(value, dict):
            check(value, path)
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, int | float) and not abs(value) <= largest:
            raise CheckpointError(f"{path} is damaged: it holds the number {value}; {ADVICE}")


def require_shards_inside(folder: Path) -> None:
    """Checks that the weights of a preset in several files are files of its folder.

    Raises:
        CheckpointError: They are not, or the list of files is damaged.
    """
    path = folder / SHARDS
    if not path.is_file():
        return
    index = read_json(path, CheckpointError)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise CheckpointError(f"{path} is damaged: it lists no files; {ADVICE}")
    for value in shards.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or Path(name).name != name:
                raise CheckpointError(f"{path} is damaged: it names files outside the folder; {ADVICE}")
