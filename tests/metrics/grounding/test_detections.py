"""Files of detections."""

import json

import pytest

from capsmith.core.errors import DataError
from capsmith.metrics.grounding.detections import COCO_IDS, read_detections

LINES = [
    {"image": "photos/a.jpg", "objects": [{"label": "dog", "score": 0.9}, {"label": "aeroplane", "score": 0.2}]},
    {"image": "b.jpg", "objects": []},
]


@pytest.fixture
def write(tmp_path):
    def write(content, name="found.jsonl"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else "\n".join(map(json.dumps, content)))
        return path

    return write


def test_lines_of_detect(write):
    found = read_detections(write(LINES))
    assert found.of(["a.jpg", "b.jpg", "c.jpg"]) == [{"dog", "airplane"}, frozenset(), None]
    assert found.of(["photos/a.jpg", "a"]) == [{"dog", "airplane"}] * 2


def test_a_threshold_leaves_objects_out_and_stands_in_the_signature(write):
    found = read_detections(write(LINES), 0.5)
    assert found.of(["a.jpg"]) == [{"dog"}]
    assert found.source.endswith(",0.5")


def test_a_single_line_in_a_json_file(write):
    assert read_detections(write(LINES[:1], "found.json")).of(["a.jpg"]) == [{"dog", "airplane"}]


def test_coco_results(write):
    results = [
        {"image_id": 42, "category_id": 18, "bbox": [0, 0, 1, 1], "score": 0.8},
        {"image_id": 42, "category_id": 90, "bbox": [0, 0, 1, 1], "score": 0.3},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.3},
    ]
    found = read_detections(write(json.dumps(results), "results.json"), 0.5)
    assert found.of(["42", "COCO_val2014_000000000042.jpg", 7, "000000000007.jpg"]) == [{"dog"}, {"dog"}, set(), set()]


def test_coco_annotations(write):
    annotations = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 5, "name": "aeroplane"}, {"id": 6, "name": "tree"}],
        "annotations": [{"image_id": 1, "category_id": 5}, {"image_id": 1, "category_id": 6, "score": 0.2}],
    }
    path = write(json.dumps(annotations), "instances.json")
    assert read_detections(path).of(["a.jpg", "b.jpg", "c.jpg"]) == [{"airplane", "tree"}, frozenset(), None]
    assert read_detections(path, 0.5).of(["a.jpg"]) == [{"airplane"}]


def test_the_numbers_of_coco():
    assert (COCO_IDS[1], COCO_IDS[13], COCO_IDS[18], COCO_IDS[44], COCO_IDS[67], COCO_IDS[90]) == (
        "person",
        "stop sign",
        "dog",
        "bottle",
        "dining table",
        "toothbrush",
    )
    assert 12 not in COCO_IDS and len(COCO_IDS) == 80


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "a.jsonl"),
        ("[]", "a.json"),
        ("{}", "a.json"),
        ("not json", "a.jsonl"),
        ('{"image": "a.jpg", "caption": "a dog"}', "a.jsonl"),
        ('{"objects": []}', "a.jsonl"),
        ('{"image": true, "objects": []}', "a.jsonl"),
        ('{"image": "a.jpg", "objects": [7]}', "a.jsonl"),
        ('{"image": "a.jpg", "objects": [{"score": 1}]}', "a.jsonl"),
        ('{"image": "a.jpg", "objects": [{"label": "dog", "score": "high"}]}', "a.jsonl"),
        ('[{"image_id": 1, "category_id": 12, "score": 1}]', "a.json"),
        ('[{"image_id": 1, "category_id": true, "score": 1}]', "a.json"),
        ('[{"category_id": 1, "score": 1}]', "a.json"),
        ('[{"image_id": 1, "caption": "a dog"}]', "a.json"),
        ('{"images": [], "annotations": [{"image_id": 1}], "categories": []}', "a.json"),
        ('{"images": [{"id": 1}], "annotations": [{"image_id": 1, "category_id": [2]}], "categories": []}', "a.json"),
        ("image,caption\na.jpg,a dog", "a.csv"),
    ],
)
def test_other_files_are_refused_by_name(write, content, name):
    path = write(content, name)
    with pytest.raises(DataError) as error:
        read_detections(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_confidence(write, threshold):
    with pytest.raises(DataError):
        read_detections(write(LINES), threshold)
