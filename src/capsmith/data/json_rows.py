"""Captions in one JSON file: a list of images, names with their captions, or COCO's annotations."""

from pathlib import Path
from typing import Any

from capsmith.core.errors import DataError

_FORMS = '[{"image": …, "caption": …}, …], {"image.jpg": "caption", …} or COCO\'s captions_*.json'


def json_rows(path: Path, content: Any) -> list[dict[str, Any]]:
    """Finds the rows in what a JSON file holds: one or more captions of one image each.

    Args:
        path: The file, for messages.
        content: What it holds.

    Returns:
        The objects of a list as they are; of other forms, objects with ``image`` and ``caption``.

    Raises:
        DataError: It is of none of these forms.
    """
    if isinstance(content, dict):
        content = _coco(path, content) if isinstance(content.get("images"), list) else _named(path, content)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path} holds no list of images: it may be {_FORMS}")
    for number, entry in enumerate(content, start=1):
        if not isinstance(entry, dict):
            raise DataError(f'{path}, entry {number}: each must be an object, as in {{"image": …, "caption": …}}')
    return content


def _coco(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    """Joins COCO's two lists: images with ``id`` and ``file_name``, annotations with ``image_id`` and ``caption``."""
    notes = [note for note in content.get("annotations") or () if isinstance(note, dict) and "caption" in note]
    if not notes:
        raise DataError(
            f"{path} is a file of COCO's without captions: take captions_*.json, or Karpathy's dataset_coco.json, "
            "which has the usual splits (configs/coco.yaml reads it)"
        )
    names = {str(image.get("id")): image.get("file_name") for image in content["images"] if isinstance(image, dict)}
    return [{"image": names.get(str(note.get("image_id"))), "caption": note["caption"]} for note in notes]


def _named(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    if not all(isinstance(said, str | list) for said in content.values()):
        raise DataError(f"{path} has keys such as {', '.join(content):.60} but no captions: it may be {_FORMS}")
    return [{"image": name, "caption": said} for name, said in content.items()]
