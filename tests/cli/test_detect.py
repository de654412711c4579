"""``capsmith detect``, with a detector of coloured rectangles."""

import json
from pathlib import Path

import pytest
from PIL import Image

from capsmith.cli import main
from tests.support.painted import PaintedDetector, painted

PHOTOS = {
    "a.png": [("person", (10, 20, 50, 70)), ("dog", (60, 30, 100, 60))],
    "b.png": [("car", (0, 0, 40, 30))],
    "c.png": [("dog", (5, 5, 25, 45)), ("car", (50, 10, 110, 70))],
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of photos; ``--model toy.onnx`` is the toy."""
    loaded = []

    def load(model, threshold=None, labels=None):
        loaded.append((model, labels))
        return PaintedDetector(threshold)

    monkeypatch.setattr("capsmith.vision.detection.load.load_detector", load)
    monkeypatch.delenv("CAPSMITH_DETECTOR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name, objects in PHOTOS.items():
        folder = tmp_path / "photos" / ("more" if name == "c.png" else "")
        painted(objects).save(folder / name)
    return loaded


def run(capsys, *arguments, code=0, model=True):
    named = ["--model", "toy.onnx"] if model else []
    assert main(["detect", *map(str, arguments), *named]) == code
    return capsys.readouterr()


def test_one_image_has_a_line_for_each_object(place, capsys):
    shown = run(capsys, "photos/a.png")
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows == [
        ["score", "left", "top", "right", "bottom"],
        ["person", "0.90", "10", "20", "50", "70"],
        ["dog", "0.60", "60", "30", "100", "60"],
    ]
    assert shown.err == "" and place == [("toy.onnx", None)]


def test_several_images_have_a_line_each(place, capsys):
    lines = run(capsys, "photos").out.splitlines()
    assert lines[0] == "photos/a.png\tperson 0.90, dog 0.60"
    assert lines[1].startswith("photos/b.png\tnothing") and lines[2] == "photos/more/c.png\tdog 0.60"
    assert len(run(capsys, "photos", "--no-recursive").out.splitlines()) == 2


def test_the_threshold_and_the_classes_decide_what_is_shown(place, capsys):
    lines = run(capsys, "photos", "--threshold", "0.2", "--only", "Man, CAR").out.splitlines()
    assert [line.partition("\t")[2] for line in lines] == ["person 0.90", "car 0.30", "car 0.30"]


def test_json_has_sizes_and_boxes(place, capsys):
    rows = [json.loads(line) for line in run(capsys, "photos/a.png", "photos/b.png", "--json").out.splitlines()]
    assert rows[0] == {
        "image": "photos/a.png",
        "width": 120,
        "height": 80,
        "objects": [
            {"label": "person", "score": 0.9, "box": [10, 20, 50, 70]},
            {"label": "dog", "score": 0.6, "box": [60, 30, 100, 60]},
        ],
    }
    assert rows[1]["objects"] == []


def test_unreadable_images_are_reported_at_the_end(place, capsys, tmp_path):
    (tmp_path / "photos" / "a2.png").write_bytes(b"not an image")
    shown = run(capsys, "photos", "gone.png", code=2)
    assert len(shown.out.splitlines()) == 3
    assert [("a2.png" in line, "gone.png" in line) for line in shown.err.splitlines()] == [(True, False), (False, True)]


def test_the_environment_names_the_model(place, capsys, monkeypatch):
    assert "CAPSMITH_DETECTOR" in run(capsys, "photos/a.png", code=2, model=False).err
    monkeypatch.setenv("CAPSMITH_DETECTOR", "other.onnx")
    assert "person" in run(capsys, "photos/a.png", model=False).out
    assert place == [("other.onnx", None)]


def test_boxes_are_drawn_and_only_own_drawings_are_replaced(place, capsys, tmp_path):
    for images in (["photos/a.png"], ["photos"]):
        run(capsys, *images, "--show", "out.png")
    with Image.open("out.png") as sheet:
        assert sheet.width > 1280  # three images beside each other or in two rows
    Image.new("RGB", (9, 9)).save(tmp_path / "mine.png")
    before = (tmp_path / "mine.png").read_bytes()
    assert "mine.png" in run(capsys, "photos", "--show", "mine.png", code=2).err
    assert (tmp_path / "mine.png").read_bytes() == before


def test_a_coco_data_set_is_written_and_written_again(place, capsys, tmp_path):
    for _ in range(2):
        run(capsys, "photos", "--coco", "out.json", "--threshold", "0.1")
    data = json.loads((tmp_path / "out.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["a.png", "b.png", "more/c.png"]
    assert {row["name"]: row["id"] for row in data["categories"]} == {"person": 1, "dog": 18, "car": 3}
    first = data["annotations"][0]
    assert (first["image_id"], first["category_id"], first["bbox"], first["score"]) == (1, 1, [10, 20, 40, 50], 0.9)
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    assert "notes.json" in run(capsys, "photos", "--coco", "notes.json", code=2).err
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def annotations(path, size=(120, 80), more=()):
    """Writes what stands in the photos, in COCO's form, with numbers of its own."""
    kinds = {"person": 7, "dog": 2, "car": 5, "unicorn": 9}
    data = {"images": [], "categories": [{"id": number, "name": name} for name, number in kinds.items()]}
    data["annotations"] = []
    for number, (name, objects) in enumerate([*PHOTOS.items(), *more], 40):
        data["images"].append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for label, (left, top, right, bottom) in objects:
            row = {"id": len(data["annotations"]) + 1, "image_id": number, "category_id": kinds[label]}
            data["annotations"].append(row | {"bbox": [left, top, right - left, bottom - top], "iscrowd": 0})
    path.write_text(json.dumps(data))


def test_scores_against_annotations(place, capsys, tmp_path):
    annotations(tmp_path / "truth.json")
    shown = run(capsys, "photos", "--annotations", "truth.json", "--json")
    found = json.loads(shown.out)
    assert found["scores"]["ap"] == pytest.approx(1) and found["images"] == 3
    assert {one["name"]: one["objects"] for one in found["classes"]} == {"dog": 2, "car": 2, "person": 1, "unicorn": 0}
    assert "unicorn" in shown.err and "threshold:0.01" in found["signature"]
    table = run(capsys, "photos", "--annotations", "truth.json").out
    assert "1.000" in table and found["signature"] in table
    # at 0.5 the cars are not found: two of three classes are right
    surer = json.loads(run(capsys, "photos", "--annotations", "truth.json", "--json", "--threshold", "0.5").out)
    assert surer["scores"]["ap"] == pytest.approx(2 / 3)


def test_results_have_the_numbers_of_the_annotations(place, capsys, tmp_path):
    annotations(tmp_path / "truth.json", more=[("z.png", [])])
    shown = run(capsys, "photos", "--annotations", "truth.json", "--coco", "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(40, 7), (40, 2), (41, 5), (42, 2), (42, 5)]
    assert "1 of 4" in shown.err
    run(capsys, "photos", "--annotations", "truth.json", "--coco", "out.json")  # its own file is replaced


def test_an_image_of_another_size_than_annotated_is_an_error(place, capsys, tmp_path):
    annotations(tmp_path / "truth.json", size=(640, 480))
    shown = run(capsys, "photos", "--annotations", "truth.json", code=2)
    assert "120×80" in shown.err and "640×480" in shown.err and shown.out == ""


def test_the_real_nanodet_on_three_photographs(capsys, tmp_path, monkeypatch):
    shared = Path(__file__).resolve().parents[3] / "shared"
    model, photos = shared / "weights" / "nanodet_coco80_416.onnx", shared / "photos"
    if not (model.is_file() and photos.is_dir()):
        pytest.skip("the detector and the photographs of ../shared are not here")
    monkeypatch.setenv("CAPSMITH_DETECTOR", str(model))
    shown = run(capsys, photos, "--json", "--show", tmp_path / "out.png", "--threshold", "0.5", model=False)
    found = {Path(row["image"]).stem: row["objects"] for row in map(json.loads, shown.out.splitlines())}
    labels = {name: [one["label"] for one in objects] for name, objects in found.items()}
    assert labels == {
        "plane": ["airplane"],
        "soccer": ["sports ball", "person", "person"],
        "surfing": ["person", "surfboard"],
    }
    left, top, right, bottom = found["plane"][0]["box"]
    assert (left, top, right, bottom) == pytest.approx((524, 358, 713, 482), abs=12)  # looked at
