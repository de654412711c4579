"""COCO files: annotations read, detections written and recognised."""

import json

import numpy as np
import pytest

from capsmith.core.errors import DataError
from capsmith.evaluation.detection.annotations import read_annotations
from capsmith.evaluation.detection.categories import category_ids
from capsmith.evaluation.detection.coco_file import coco_data_set, is_coco_of_detections, write_coco
from capsmith.vision.detection.detector import Detected, Detection
from capsmith.vision.detection.labels import COCO

GOOD = {
    "images": [{"id": 3, "file_name": "val/a.jpg", "width": 640, "height": 480}, {"id": 1, "file_name": "b.jpg"}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "Person"}],
    "annotations": [
        {"image_id": 3, "category_id": 18, "bbox": [1, 2, 3, 4], "area": 5.5, "iscrowd": 1},
        {"image_id": 3, "category_id": 1, "bbox": [0, 0, 10, 10]},
    ],
}


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_objects_are_read_by_image(tmp_path):
    read = read_annotations(written(tmp_path / "truth.json", GOOD))
    assert read.labels == ("Person", "dog") and read.category_ids == (1, 18) and [*read.images] == [1, 3]
    truth = read.images[3].truth
    assert truth.classes.tolist() == [1, 0] and truth.areas.tolist() == [5.5, 100] and truth.crowd.tolist() == [1, 0]
    assert np.array_equal(truth.boxes, [[1, 2, 3, 4], [0, 0, 10, 10]])
    assert read.images[3].size == (640, 480) and read.images[1].size is None
    assert read.images[1].truth.boxes.shape == (0, 4)


def test_files_are_found_by_path_or_name(tmp_path):
    read = read_annotations(written(tmp_path / "truth.json", GOOD))
    found = read.find(["/data/val/a.jpg", "elsewhere/b.jpg", "c.jpg"])
    assert {name: image.id for name, image in found.items()} == {"/data/val/a.jpg": 3, "elsewhere/b.jpg": 1}
    with pytest.raises(DataError, match="b.jpg"):
        read.find(["x/b.jpg", "y/b.jpg"])


def test_labels_match_in_any_spelling(tmp_path):
    categories = [{"id": 1, "name": "dining table"}, {"id": 2, "name": "tvmonitor"}, {"id": 3, "name": "fork-lift"}]
    content = {"images": [], "annotations": [], "categories": categories}
    read = read_annotations(written(tmp_path / "truth.json", content))
    assert read.places(["diningtable", "tv", "Fork Lift", "dog"]) == {"diningtable": 0, "tv": 1, "Fork Lift": 2}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"images": 3}, "images"),
        ({"annotations": [[1]]}, "annotations"),
        ({"categories": []}, "categories"),
        ({"categories": [{"id": "1", "name": "dog"}]}, r"categories\[0\]: id"),
        ({"categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "DOG"}]}, r"categories\[1\]"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}, r"images\[1\]"),
        ({"images": [{"id": 1, "file_name": 7}]}, r"images\[0\]: file_name"),
        ({"annotations": [{"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "image_id 9"),
        ({"annotations": [{"image_id": 1, "category_id": 5, "bbox": [0, 0, 1, 1]}]}, "category_id 5"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, -1, 1]}]}, "bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1]}]}, "bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, float("nan")]}]}, "bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 10**400]}]}, "bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": "x"}]}, "area"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": [1]}]}, "iscrowd"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, names):
    with pytest.raises(DataError, match=names):
        read_annotations(written(tmp_path / "truth.json", GOOD | change))


@pytest.mark.parametrize("text", ["[]", "{}", "", "[[[", "null"])
def test_files_of_another_form_are_errors(tmp_path, text):
    with pytest.raises(DataError, match="truth.json"):
        read_annotations(written(tmp_path / "truth.json", text))


def test_cocos_numbers_for_cocos_names():
    numbers = category_ids(COCO)
    assert (numbers["person"], numbers["stop sign"], numbers["toothbrush"]) == (1, 13, 90)
    assert category_ids(["tvmonitor", "aeroplane"]) == {"tvmonitor": 72, "aeroplane": 5}
    assert category_ids(["person", "forklift"]) == {"person": 1, "forklift": 2}
    assert category_ids(["man", "woman"]) == {"man": 1, "woman": 2}  # both are persons


def test_own_files_are_recognised(tmp_path):
    found = [("a.jpg", Detected(10, 10, (Detection("dog", 0.123456, (1, 2, 5, 9)),)))]
    write_coco(tmp_path / "own.json", coco_data_set(found, ["dog"], "toy"))
    assert is_coco_of_detections(tmp_path / "own.json")
    data = json.loads((tmp_path / "own.json").read_text())
    assert data["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 18, "bbox": [1, 2, 4, 7], "area": 28, "iscrowd": 0, "score": 0.12346}
    ]
    foreign = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]
    for content in (foreign, GOOD, "x", "[1]", '{"info": {"description": "mine"}}'):
        assert not is_coco_of_detections(written(tmp_path / "other.json", content))
