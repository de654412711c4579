"""Detections and descriptions over the API: colours say which objects, images and captions are right."""

import argparse
import base64
import io

import numpy as np
import pytest
from PIL import Image

from capsmith.cli.serve import add_arguments
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.deploy.serving.embedding.loading import Finding, embeddings_of
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.finding import colour_photos, finding_app
from tests.support.service import client_of, image_bytes, quick_app


def scene():
    """Returns a PNG of 60 × 40 pixels: grey, with a red rectangle, and a small blue one."""
    pixels = np.full((40, 60, 3), 128, np.uint8)
    pixels[5:25, 10:50] = (220, 30, 30)
    pixels[30:36, 4:12] = (30, 40, 220)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("describing")
    app = finding_app(colour_photos(folder / "photos"), folder / "photos.index")
    with client_of(app) as client:
        yield client


@pytest.fixture(scope="module")
def bare():
    with client_of(quick_app()) as client:
        yield client


def test_objects_have_boxes_in_pixels_of_the_image(client):
    files = [("image", ("scene.png", scene())), ("image", ("blue.png", image_bytes((30, 40, 220), (20, 10))))]
    answer = client.post("/v1/detections", files=files)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert (document["detector"], document["threshold"]) == ("toy detector", 0.5)
    first, second = document["results"]
    assert (first["index"], first["image"], first["width"], first["height"]) == (0, "scene.png", 60, 40)
    assert first["objects"] == [
        {"label": "blue", "score": 1.0, "box": [4.0, 30.0, 12.0, 36.0]},
        {"label": "picture", "score": 1.0, "box": [10.0, 5.0, 50.0, 25.0]},
    ]
    assert second["objects"] == [{"label": "blue", "score": 1.0, "box": [0.0, 0.0, 20.0, 10.0]}]
    body = {"images": [base64.b64encode(scene()).decode()], "threshold": 0.9}
    assert client.post("/v1/detections", json=body).json()["results"][0]["objects"] == first["objects"]


def test_a_description_joins_all_parts(client):
    answer = client.post("/v1/descriptions", files={"image": ("scene.png", scene())}, data={"top": "2"})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert {key: document[key] for key in ("model", "detector", "similar_from", "library")} == {
        "model": "quick",
        "detector": "toy detector",
        "similar_from": "colours",
        "library": "social",
    }
    (result,) = document["results"]
    assert result["caption"] == "a red picture"
    (word,) = [one for one in result["words"] if one["word"] == "picture"]
    assert result["caption"][word["start"] : word["end"]] == "picture"
    assert (word["status"], [result["objects"][n]["label"] for n in word["objects"]]) == ("confirmed", ["picture"])
    assert [result["objects"][n]["label"] for n in result["unnamed"]] == ["blue"]
    assert len(result["similar"]["meaning"]) == len(result["similar"]["look"]) == 2
    assert result["similar"]["meaning"][0]["name"].startswith(("red", "copy of red"))
    assert client.get(result["similar"]["look"][0]["thumbnail"]).headers["content-type"] == "image/jpeg"
    assert len(result["recommendations"]) == 2
    own = client.post("/v1/recommendations", files={"image": scene()}, data={"top": "2"})
    assert result["recommendations"] == own.json()["results"][0]["recommendations"]


def test_what_the_service_does_not_have_is_null(bare):
    result = bare.post("/v1/descriptions", files={"image": scene()}).json()
    assert [result[key] for key in ("detector", "threshold", "similar_from", "library")] == [None] * 4
    (one,) = result["results"]
    assert one["caption"] == "a red picture"
    assert [one[key] for key in ("objects", "words", "unnamed", "similar", "recommendations")] == [None] * 5
    missing = bare.post("/v1/detections", files={"image": scene()})
    assert missing.status_code == 404 and "--detector" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("path", "data", "status", "field"),
    [
        ("detections", {"threshold": "2"}, 422, "threshold"),
        ("detections", {"threshold": "nan"}, 422, "threshold"),
        ("detections", {"top": "2"}, 422, "top"),
        ("descriptions", {"top": "0"}, 422, "top"),
        ("descriptions", {"model": "other"}, 404, None),
        ("descriptions", {"index": "other"}, 404, None),
        ("descriptions", {"library": "other"}, 404, None),
    ],
)
def test_wrong_options(client, path, data, status, field):
    answer = client.post(f"/v1/{path}", files={"image": scene()}, data=data)
    assert answer.status_code == status, answer.text
    assert field is None or answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("path", ["detections", "descriptions"])
def test_broken_images_are_named(client, path):
    files = [("image", ("good.png", scene())), ("image", ("bad.png", scene()[:60]))]
    answer = client.post(f"/v1/{path}", files=files)
    assert answer.status_code == 422 and answer.json()["errors"][0]["index"] == 1
    assert client.post(f"/v1/{path}", json={"images": []}).status_code == 422


@pytest.mark.parametrize("path", ["detections", "descriptions"])
def test_a_detector_that_fails_is_an_error_of_the_service_without_its_path(client, path, monkeypatch):
    detector = client.app.state.service.embeddings.detector.detector

    def fail(image, threshold=None):
        raise CheckpointError("/home/me/secret/model.onnx: the model was not computed within 60 s")

    monkeypatch.setattr(detector, "detect", fail)
    answer = client.post(f"/v1/{path}", files={"image": scene()})
    assert answer.status_code == 500 and "model.onnx" not in answer.text


def test_counts(client):
    text = client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["capsmith_detections_total"]) >= 3 and float(values["capsmith_descriptions_total"]) >= 1


def test_a_missing_detector_is_reported_before_anything_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match="nothing.onnx"):
        embeddings_of(Finding(detector=str(tmp_path / "nothing.onnx")), ServeSettings(), lambda: None)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(["--detector", "model.onnx"]).detector == "model.onnx"


def test_the_detector_is_listed_without_the_folder_of_its_file(client, bare):
    labels = ["picture", "green", "blue", "yellow", "white", "black"]
    assert client.get("/v1/detectors").json() == {
        "detectors": [{"name": "toy detector", "threshold": 0.5, "labels": labels}]
    }
    assert bare.get("/v1/detectors").json() == {"detectors": []}
