"""Captions in one JSON file: a list of images, names with their captions, or COCO's annotations."""

from pathlib import Path
from typing import Any

from capsmith.core.errors import DataError
from capsmith.core.readers.caption_tables import coco_file_names

_FORMS = '[{"image": …, "caption": …}, …], {"image.jpg": "caption", …} or COCO\'s captions_*.json'


def json_rows(path: Path, content: Any) -> list[Any]:
    """Returns the rows of a JSON file. Each has one or more captions of one image.

    Args:
        path: The file, for messages.
        content: Its content.

    Returns:
        The entries of a list unchanged; of other forms, objects with ``image`` and ``caption``.

    Raises:
        DataError: The content has none of these forms.
    """
    if isinstance(content, dict):
        content = _coco(path, content) if isinstance(content.get("images"), list) else _by_name(path, content)
    if not isinstance(content, list) or not content:
        raise DataError(f"{path} has no list of images: expected {_FORMS}")
    return content


def _coco(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    """Joins COCO's two lists: images with ``id`` and ``file_name``, annotations with ``image_id`` and ``caption``."""
    notes = [note for note in content.get("annotations") or () if isinstance(note, dict) and "caption" in note]
    if not notes:
        raise DataError(
            f"{path} is a COCO file without captions: use captions_*.json, or Karpathy's dataset_coco.json, "
            "which has the usual splits (configs/coco.yaml reads it)"
        )
    names = coco_file_names(content["images"])
    return [{"image": names.get(str(note.get("image_id"))), "caption": note["caption"]} for note in notes]


def _by_name(path: Path, content: dict[str, Any]) -> list[dict[str, Any]]:
    if not all(isinstance(captions, str | list) for captions in content.values()):
        raise DataError(f"{path} has keys such as {', '.join(content):.60} but no captions: expected {_FORMS}")
    return [{"image": name, "caption": captions} for name, captions in content.items()]
