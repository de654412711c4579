"""Writes detections as COCO files.

Without annotations, the file is a data set: ``images``, ``categories`` and ``annotations`` with a ``score``, as
labelling programs import it. With annotations, it is a list of results with the numbers of images and classes of the
annotation file, as pycocotools' ``loadRes`` and COCO's server take it. Boxes are left, top, width and height in pixels.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith import __version__
from capsmith.core.files import atomic
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import open_regular, read_bytes
from capsmith.evaluation.detection.annotations import AnnotatedImage, Annotations
from capsmith.evaluation.detection.categories import category_ids
from capsmith.vision.detection.detector import Detected, Detection

_MARK = "capsmith detect"
_RESULT = {"image_id", "category_id", "bbox", "score", "file_name", "category"}
_HEAD = 4096  # bytes in which the mark of a data set stands
_DECIMALS = 2  # of boxes: a hundredth of a pixel, as in COCO's files


def coco_data_set(images: Sequence[tuple[str, Detected]], labels: Sequence[str], model: str) -> dict[str, Any]:
    """Returns detections as a COCO data set.

    Args:
        images: The name of each image, and what was found.
        labels: The classes of the detector.
        model: Its name.
    """
    numbers = category_ids(labels)
    annotations: list[dict[str, Any]] = []
    for image, (_, detected) in enumerate(images, 1):
        for one in detected.objects:
            box = _box(one)
            row = {"id": len(annotations) + 1, "image_id": image, "category_id": numbers[one.label], "bbox": box}
            annotations.append(row | {"area": round(box[2] * box[3], _DECIMALS), "iscrowd": 0, "score": _score(one)})
    return {
        "info": {"description": f"{_MARK} {__version__}, {model}: detections, not annotations of people"},
        "images": [
            {"id": number, "file_name": name, "width": found.width, "height": found.height}
            for number, (name, found) in enumerate(images, 1)
        ],
        "categories": [{"id": number, "name": label} for label, number in numbers.items()],
        "annotations": annotations,
    }


def coco_results(
    images: Sequence[tuple[AnnotatedImage, Detected]], annotations: Annotations, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns detections as COCO results, with the numbers of an annotation file.

    Args:
        images: The annotated images, and what was found in them.
        annotations: The file. Classes that it does not have are left out.
        labels: The classes of the detector.
    """
    places = annotations.places(labels)
    rows = []
    for image, detected in images:
        for one in detected.objects:
            if one.label in places:
                place = places[one.label]
                row = {"image_id": image.id, "category_id": annotations.category_ids[place], "bbox": _box(one)}
                row |= {"score": _score(one), "file_name": image.name, "category": annotations.labels[place]}
                rows.append(row)
    return rows


def write_coco(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Writes a COCO file atomically, one entry a line.

    Raises:
        CapsmithError: The file cannot be written.
    """
    with atomic(path) as file:
        if isinstance(content, Mapping):
            parts = [f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
            file.write("{" + ",\n".join(parts) + "}\n")
        else:
            file.write(_lines(content) + "\n")


def is_coco_of_detections(path: Path) -> bool:
    """Returns whether a file is one that ``write_coco`` wrote."""
    with open_regular(path) as file:
        head = file.read(_HEAD)
    if head.startswith(b'{"info": {"description": "' + _MARK.encode()):
        return True
    if not head.startswith(b"["):
        return False
    try:
        rows = parse_json(read_bytes(path))
    except ValueError:
        return False
    return isinstance(rows, list) and all(isinstance(row, dict) and row.keys() == _RESULT for row in rows)


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in value)
    return f"[\n{rows}\n]" if rows else "[]"


def _box(one: Detection) -> list[float]:
    left, top, right, bottom = one.box
    return [round(value, _DECIMALS) for value in (left, top, right - left, bottom - top)]


def _score(one: Detection) -> float:
    return round(one.score, 5)
