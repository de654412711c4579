"""Reads the objects that a detector found, as a second truth for the hallucination rate.

Three formats, told apart by content:

- JSON lines of ``capsmith detect --json``: ``{"image": "a.jpg", "objects": [{"label": "dog", "score": 0.9, …}]}``;
- COCO results: a JSON list of ``image_id``, ``category_id`` (COCO's numbers, 1 to 90) and ``score``;
- COCO annotations: ``images``, ``annotations`` and ``categories``, as ``capsmith detect --coco`` writes them. With
  COCO's own ``instances_val2014.json`` the annotated objects are the truth, as in CHAIR.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from capsmith.core.errors import DataError
from capsmith.core.readers.caption_tables import json_content, open_json_lines, open_json_list
from capsmith.core.readers.text_files import read_text
from capsmith.metrics.grounding.table import CLASSES, canonical

_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})  # numbers of COCO's list that no annotation uses
COCO_IDS = {number: label for number, label in zip((n for n in range(1, 91) if n not in _UNUSED), CLASSES, strict=True)}
"""COCO's classes by their numbers in COCO's files."""
_ANNOTATIONS = ("images", "annotations", "categories")
_IMAGE = ("image", "file_name", "filename", "path", "image_id", "id")


@dataclass(frozen=True)
class DetectedLabels:
    """The classes that a detector found in each image.

    Attributes:
        labels: The classes of each image, by its name in the file.
        source: What signatures say of them: the start of the file's SHA-256, and the threshold if there is one.
    """

    labels: Mapping[str, frozenset[str]]
    source: str

    def of(self, ids: Iterable[Any]) -> list[frozenset[str] | None]:
        """Returns the classes of images: by their ids, by the file names of these, or by those without a suffix.

        Args:
            ids: The images.

        Returns:
            For each image its classes; None for an image that is not in the file.
        """
        by_name = {name: found for key, found in self.labels.items() for name in reversed(_names(key))}
        by_name |= self.labels
        return [next((by_name[name] for name in _names(str(key)) if name in by_name), None) for key in ids]


def read_detections(path: Path, threshold: float = 0.0) -> DetectedLabels:
    """Reads a file of detections.

    Args:
        path: The file.
        threshold: The least confidence of an object that counts.

    Raises:
        DataError: The file cannot be read, or is in neither format; or the threshold is not from 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise DataError(f"the threshold of detections is {threshold:g}: it must be from 0 to 1")
    text = read_text(path)
    value = json_content(path, text)
    if value is None:
        rows = _lines(path, text, threshold)
    elif isinstance(value, list):
        rows = _results(path, value, threshold)
    elif isinstance(value, dict) and "objects" in value:  # a single line in a file called .json
        rows = _lines(path, text, threshold)
    elif isinstance(value, dict) and all(isinstance(value.get(key), list) for key in _ANNOTATIONS):
        rows = _annotations(path, value, threshold)
    else:
        raise DataError(f"{path}: no detections: write them with capsmith detect --json, or as COCO results")
    labels: dict[str, set[str]] = {}
    for image, found in rows:
        labels.setdefault(image, set()).update(found)
    if not labels:
        raise DataError(f"{path}: no detections")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    source = digest + (f",{threshold:g}" if threshold else "")
    return DetectedLabels({image: frozenset(found) for image, found in labels.items()}, source)


def _lines(path: Path, text: str, threshold: float) -> Iterator[tuple[str, list[str]]]:
    for row in open_json_lines(path, text).rows:
        where, values = f"{path}, line {row.number}", row.values or {}
        objects = values.get("objects")
        if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
            raise DataError(f"{where}: no list of 'objects': write it with capsmith detect --json")
        yield _image(values, where), [_label(one, where) for one in objects if _score(one, where) >= threshold]


def _results(path: Path, entries: Sequence[Any], threshold: float) -> Iterator[tuple[str, list[str]]]:
    for row in open_json_list(path, entries).rows:
        where, values = f"{path}, entry {row.number}", row.values or {}
        number = values.get("category_id")
        if isinstance(number, bool) or not isinstance(number, int) or number not in COCO_IDS:
            raise DataError(f"{where}: category_id {number!r:.40} is not one of COCO's classes (1 to 90)")
        yield _image(values, where), [COCO_IDS[number]] if _score(values, where) >= threshold else []


def _annotations(path: Path, value: Mapping[str, Any], threshold: float) -> Iterator[tuple[str, list[str]]]:
    names, labels = (
        {one.get("id"): str(one.get(name, one.get("id"))) for one in value[key] if isinstance(one, dict)}
        for key, name in (("images", "file_name"), ("categories", "name"))
    )
    yield from ((name, []) for name in names.values())
    for row in open_json_list(path, value["annotations"], "annotation").rows:
        where, values = f"{path}, annotation {row.number}", row.values or {}
        image, category = _number(values, "image_id", names, where), _number(values, "category_id", labels, where)
        yield image, [canonical(category)] if _score(values, where) >= threshold else []


def _number(values: Mapping[str, Any], key: str, names: Mapping[Any, str], where: str) -> str:
    """Returns the name of what a number of an annotation refers to."""
    number = values.get(key)
    if not isinstance(number, int | str) or number not in names:
        raise DataError(f"{where}: {key} {number!r:.40} is not listed in the file")
    return names[number]


def _image(values: Mapping[str, Any], where: str) -> str:
    key = next((values[name] for name in _IMAGE if name in values), None)
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise DataError(f"{where}: no image (one of the keys: {', '.join(_IMAGE)})")
    return str(key)


def _label(values: Mapping[str, Any], where: str) -> str:
    label = values.get("label")
    if not isinstance(label, str):
        raise DataError(f"{where}: an object without a label")
    return canonical(label)


def _score(values: Mapping[str, Any], where: str) -> float:
    score = values.get("score", 1.0)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise DataError(f"{where}: the score of an object is {score!r:.40}, not a number")
    return float(score)


def _names(key: str) -> list[str]:
    """Returns an image's names, the most exact first: a path, its file name, that without suffix and leading zeros."""
    name = PurePosixPath(key.replace("\\", "/")).name
    stem = PurePosixPath(name).stem
    return [key, name, stem, re.sub(r"^(?:COCO_\w+_)?0+(?=\d+$)", "", stem)]
