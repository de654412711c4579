"""Reads annotated objects from a COCO file, such as ``instances_val2017.json``.

G annotated objects of an image.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from capsmith.core.errors import DataError
from capsmith.core.readers.json_files import read_json
from capsmith.core.spelling import folded
from capsmith.metrics.detection import Truth
from capsmith.metrics.grounding.table import canonical

_LARGEST = 2**53  # integers that are exact in every JSON reader


@dataclass(frozen=True)
class AnnotatedImage:
    """An image of the file.

    Attributes:
        id: Its number.
        name: Its file name, as the file has it.
        size: Width and height in pixels; None if the file does not say.
        truth: Its objects; the classes are places in ``Annotations.labels``.
    """

    id: int
    name: str
    size: tuple[int, int] | None
    truth: Truth


@dataclass(frozen=True)
class Annotations:
    """The content of a COCO file.

    Attributes:
        path: The file.
        images: The images, by their numbers.
        labels: The names of the classes, in the order of their numbers.
        category_ids: The numbers of the classes.
    """

    path: Path
    images: Mapping[int, AnnotatedImage]
    labels: tuple[str, ...]
    category_ids: tuple[int, ...]

    def find(self, names: Sequence[str]) -> dict[str, AnnotatedImage]:
        """Returns the annotated images that files denote: by their relative paths, otherwise by their file names.

        Args:
            names: Paths of files.

        Raises:
            DataError: A file name stands for several images, or two files for one image.
        """
        by_name = {image.name: image for image in self.images.values()}
        by_last: dict[str, list[AnnotatedImage]] = {}
        for annotated in self.images.values():
            by_last.setdefault(PurePosixPath(annotated.name).name, []).append(annotated)
        found: dict[str, AnnotatedImage] = {}
        owner: dict[int, str] = {}
        for name in names:
            parts = Path(name).parts
            tails = ["/".join(parts[first:]) for first in range(len(parts))]
            image: AnnotatedImage | None = next((by_name[tail] for tail in tails if tail in by_name), None)
            if image is None and (several := by_last.get(parts[-1], [])):
                if len(several) > 1:
                    raise DataError(f"{name}: {self.path} has several images of this name ({several[0].name}, …)")
                image = several[0]
            if image is None:
                continue
            if image.id in owner:
                raise DataError(f"{name} and {owner[image.id]} are the same image in {self.path}: {image.name}")
            owner[image.id] = name
            found[name] = image
        return found

    def places(self, labels: Sequence[str]) -> dict[str, int]:
        """Returns for each label of a detector the place of its class in ``labels``; others are missing.

        Names match without case, spaces, dashes and underscores, and COCO's classes in any spelling.
        """
        exact = {folded(label): place for place, label in enumerate(self.labels)}
        spelled = {canonical(label): place for place, label in reversed([*enumerate(self.labels)])}
        places = {label: exact.get(folded(label), spelled.get(canonical(label))) for label in labels}
        return {label: place for label, place in places.items() if place is not None}


def read_annotations(path: Path) -> Annotations:
    """Reads a COCO file. Outlines of objects are not read: boxes and areas are.

    Raises:
        DataError: The file cannot be read, or an entry is not valid; the message names it.
    """
    content = read_json(path, DataError, strict=False)
    if not isinstance(content, dict):
        raise DataError(f"{path}: not a COCO file: an object with images, categories and annotations is expected")
    reader = _Reader(path)
    images, categories, objects = (reader.entries(content, key) for key in ("images", "categories", "annotations"))
    names = reader.names(categories)
    numbers = sorted(names)
    read = reader.images(images, objects, {number: place for place, number in enumerate(numbers)})
    return Annotations(path, read, tuple(names[number] for number in numbers), tuple(numbers))


class _Reader:
    """Reads the lists of a file, and names the entry of an error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Returns a list of the file."""
        entries = content.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{self.path}: {key}: a list of objects is expected, as in COCO's instances files")
        return entries

    def names(self, entries: Sequence[dict[str, Any]]) -> dict[int, str]:
        """Returns the names of the classes by their numbers."""
        names: dict[int, str] = {}
        for place, entry in enumerate(entries):
            number = self._integer(entry, "categories", place, "id")
            name = self._text(entry, "categories", place, "name")
            if number in names:
                raise self._error("categories", place, f"id {number} is used twice")
            if folded(name) in map(folded, names.values()) and folded(name):
                raise self._error("categories", place, f"name {name!r:.80} is used twice")
            names[number] = name
        if not names:
            raise DataError(f"{self.path}: categories: the list is empty")
        return names

    def images(
        self, entries: Sequence[dict[str, Any]], objects: Sequence[dict[str, Any]], places: Mapping[int, int]
    ) -> dict[int, AnnotatedImage]:
        """Returns the images with their objects, by their numbers."""
        rows: dict[int, list[tuple[list[float], int, float, bool]]] = {}
        known: dict[int, tuple[str, tuple[int, int] | None]] = {}
        names: set[str] = set()
        for place, entry in enumerate(entries):
            number = self._integer(entry, "images", place, "id")
            name = self._text(entry, "images", place, "file_name").replace("\\", "/")
            if number in known or name in names:
                raise self._error("images", place, f"{name!r:.80} or its id {number} is there twice")
            names.add(name)
            width, height = entry.get("width"), entry.get("height")
            stated = isinstance(width, int) and isinstance(height, int) and min(width, height) > 0
            known[number] = name, (width, height) if stated else None  # type: ignore[assignment]
            rows[number] = []
        for place, entry in enumerate(objects):
            image = self._integer(entry, "annotations", place, "image_id")
            if image not in rows:
                raise self._error("annotations", place, f"image_id {image} is not the id of an image")
            rows[image].append(self._object(entry, place, places))
        return {
            number: AnnotatedImage(number, name, size, _truth(rows[number]))
            for number, (name, size) in sorted(known.items())
        }

    def _object(
        self, entry: dict[str, Any], place: int, places: Mapping[int, int]
    ) -> tuple[list[float], int, float, bool]:
        category = self._integer(entry, "annotations", place, "category_id")
        if category not in places:
            raise self._error("annotations", place, f"category_id {category} is not the id of a category")
        box = entry.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) < 0:
            raise self._error("annotations", place, "bbox: left, top, width and height in pixels are expected")
        area = entry.get("area", box[2] * box[3])
        if not _is_number(area) or area < 0:
            raise self._error("annotations", place, "area: a number of square pixels is expected")
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise self._error("annotations", place, f"iscrowd {crowd!r:.40}: 0 or 1 is expected")
        return [float(value) for value in box], places[category], float(area), bool(crowd)

    def _integer(self, entry: dict[str, Any], key: str, place: int, field: str) -> int:
        value = entry.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
            raise self._error(key, place, f"{field} {value!r:.40}: an integer is expected")
        return value

    def _text(self, entry: dict[str, Any], key: str, place: int, field: str) -> str:
        value = entry.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self._error(key, place, f"{field} {value!r:.40}: a name is expected")
        return value

    def _error(self, key: str, place: int, what: str) -> DataError:
        return DataError(f"{self.path}: {key}[{place}]: {what}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 and math.isfinite(value)


def _truth(rows: Sequence[tuple[list[float], int, float, bool]]) -> Truth:
    boxes, classes, areas, crowd = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Truth(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(areas, np.float64),
        np.array(crowd, bool),
    )
