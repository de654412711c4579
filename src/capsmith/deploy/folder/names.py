"""Names of images and folders as files of capsmith keep them."""

import os
from pathlib import Path, PurePath


def printable_name(name: bytes) -> str:
    r"""Returns a file name as text; bytes that are not UTF-8 become ``\xe9`` and the like."""
    return name.decode("utf-8", "backslashreplace")


def name_inside(name: bytes) -> str:
    """Returns the path of an image relative to a folder, as the file system has it.

    Raises:
        ValueError: It leads out of the folder: somebody changed the file that holds it.
    """
    path = PurePath(os.fsdecode(name))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in str(path):
        raise ValueError(f"{str(path)!r:.80} is not in the folder of the images")
    return str(path)


def kept_root(root: Path, folder: Path, beside: bool = False) -> str:
    """Returns how a folder names the folder of its images: relative if one is in the other, so both can be moved.

    Args:
        root: The folder of the images.
        folder: The folder that keeps the name.
        beside: Also relative if both are in the same folder.
    """
    images, place = os.path.abspath(root), os.path.abspath(folder)
    near = os.path.commonpath([images, place]) in (images, place) and os.path.dirname(images) != images
    near |= beside and os.path.dirname(images) == os.path.dirname(place)
    return os.path.relpath(images, place) if near else images
