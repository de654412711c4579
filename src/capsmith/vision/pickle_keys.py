"""Matches the keys of a pickle of features to the images of a dataset."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from capsmith.core.errors import FeatureError, escaped
from capsmith.vision.image_formats import IMAGE_ENDINGS

_SHOWN = 80  # characters of a key in a message


def match_keys(keys: Sequence[str], ids: Sequence[str], path: Path) -> dict[str, str]:
    """Returns the key of each image that has one.

    A key matches an image if it equals the image's id, or else the id without its extension, or else the file name
    alone when the key has another folder.

    Args:
        keys: Keys of the pickle.
        ids: Image ids.
        path: Path of the pickle, for messages.

    Raises:
        FeatureError: No key matches, a key matches several images, or several keys match an image.
    """
    key_of: dict[str, str] = {}
    for normalise in (_normalised, _without_extension, _file_name):
        by_name: dict[str, list[str]] = {}
        for key in keys:
            by_name.setdefault(normalise(key), []).append(key)
        for image in ids:
            candidates = by_name.get(normalise(image), []) if image not in key_of else []
            if len(candidates) > 1:
                raise FeatureError(
                    f"{path}: {quoted(image)} could be {quoted(candidates[0])} or {quoted(candidates[1])}: "
                    "use one key per image"
                )
            if candidates:
                key_of[image] = candidates[0]
    if not key_of:
        raise FeatureError(
            f"{path}: none of its {len(keys):,} keys is the name of an image; a key is {quoted(keys[0])}, "
            f"an image {quoted(ids[0]) if ids else '(none)'}"
        )
    key, count = Counter(key_of.values()).most_common(1)[0]
    if count > 1:
        first, second, *_ = (image for image, own_key in key_of.items() if own_key == key)
        raise FeatureError(
            f"{path}: the key {quoted(key)} matches {quoted(first)} and {quoted(second)}: use complete ids"
        )
    return key_of


def quoted(name: str) -> str:
    """Returns a key or image id for a message: quoted, escaped and shortened."""
    text = escaped(name[:_SHOWN]) + ("…" if len(name) > _SHOWN else "")
    return f"'{text}'"


def _normalised(name: str) -> str:
    return PurePosixPath(unicodedata.normalize("NFC", name.strip()).replace("\\", "/")).as_posix()


def _without_extension(name: str) -> str:
    stem, dot, extension = (normalised := _normalised(name)).rpartition(".")
    return stem if dot and f".{extension}".lower() in IMAGE_ENDINGS else normalised


def _file_name(name: str) -> str:
    return _without_extension(name).rpartition("/")[2]
