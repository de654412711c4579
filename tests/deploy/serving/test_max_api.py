"""The requests that IBM published for its MAX Image Caption Generator (README and tests/test.py), answered as there."""

import math

import pytest

from tests.support.service import client_of, image_bytes, quick_app


@pytest.fixture(scope="module")
def client():
    with client_of(quick_app()) as client:
        yield client


def predict(client, name, content, kind):
    return client.post("/model/predict", files={"image": (name, content, kind)})


@pytest.mark.parametrize(
    "form, name, kind", [("JPEG", "tests/surfing.jpg", "image/jpg"), ("PNG", "tests/surfing.png", "image/png")]
)
def test_predict(client, form, name, kind):
    answer = predict(client, name, image_bytes(form=form), kind)
    assert answer.status_code == 200
    document = answer.json()
    assert set(document) == {"status", "predictions"} and document["status"] == "ok"
    assert document["predictions"][0]["caption"] == "a red picture"
    assert [one["index"] for one in document["predictions"]] == ["0", "1", "2"]
    assert [set(one) for one in document["predictions"]] == [{"index", "caption", "probability"}] * 3
    assert document["predictions"][0]["probability"] == pytest.approx(math.exp(-1.5))
    assert document["predictions"][1]["probability"] == pytest.approx(math.exp(-4.5))


def test_metadata(client):
    document = client.get("/model/metadata").json()
    assert set(document) == {"id", "name", "description", "type", "license", "source"}
    assert document["type"] == "Image-to-Text Translation" and document["id"] == "quick"


def test_what_is_no_image(client):
    """MAX answers 400 for a file of another type and for a missing image."""
    assert predict(client, "a.txt", b"some text", "text/plain").status_code == 400
    assert predict(client, "a.jpg", b"some text", "image/jpeg").status_code == 400
    assert client.post("/model/predict", files={"file": image_bytes()}).status_code == 400
    assert client.post("/model/predict", files={"image": (None, b"text")}).status_code == 400
    assert client.post("/model/predict").status_code == 400
    assert client.post("/model/predict", json={"images": []}).status_code == 400
    assert client.get("/model/predict").status_code == 405


def test_two_images_are_refused(client):
    assert client.post("/model/predict", files=[("image", image_bytes())] * 2).status_code == 400
