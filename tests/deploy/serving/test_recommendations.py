"""Recommendations over the API: the colours say which captions are right."""

import base64

import pytest

from tests.support.finding import CAPTIONS, colour_photos, finding_app
from tests.support.service import client_of, image_bytes, quick_app

RED, BLUE = image_bytes((220, 30, 30)), image_bytes((30, 40, 220))
URL = "/v1/recommendations"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finding")
    with client_of(finding_app(colour_photos(folder / "photos"), folder / "photos.index")) as client:
        yield client


def captions_of(answer, image=0):
    assert answer.status_code == 200, answer.text
    return [one["caption"] for one in answer.json()["results"][image]["recommendations"]]


def test_each_image_gets_the_caption_of_its_colour(client):
    files = [("image", ("red.png", RED)), ("image", ("blue.png", BLUE))]
    answer = client.post(URL, files=files, data={"top": "3"})
    assert captions_of(answer)[0] == "Roses are red" and captions_of(answer, 1)[0] == "Out of the blue"
    assert (answer.json()["model"], answer.json()["library"]) == ("toy", "social")
    first = answer.json()["results"][1]
    assert (first["index"], first["image"], len(first["recommendations"])) == (1, "blue.png", 3)
    assert first["recommendations"][0] == {
        "rank": 1,
        "caption": "Out of the blue",
        "similarity": pytest.approx(1, abs=1e-3),
        "score": first["recommendations"][0]["score"],
        "theme": "cool",
    }


def test_json_gives_the_answer_of_a_form(client):
    form = client.post(URL, files={"image": RED}, data={"top": "2", "theme": "cool", "diverse": "true"})
    body = {"images": [base64.b64encode(RED).decode()], "top": 2, "theme": "cool", "diverse": True}
    json = client.post(URL, json=body).json()
    assert captions_of(form) and set(captions_of(form)) <= {
        caption for caption, _, theme in CAPTIONS if theme == "cool"
    }
    assert json["results"][0]["recommendations"] == form.json()["results"][0]["recommendations"]


def test_captions_of_the_request_are_used_instead_of_the_library(client):
    lines = client.post(URL, files={"image": BLUE}, data={"captions": "a red day\n\n a blue day \n"})
    assert captions_of(lines) == ["a blue day", "a red day"] and lines.json()["library"] is None
    entries = ["a red day", {"caption": "Sea, again.", "description": "blue", "theme": "sea"}]
    json = client.post(URL, json={"images": [base64.b64encode(BLUE).decode()], "captions": entries})
    assert captions_of(json)[0] == "Sea, again."
    assert json.json()["results"][0]["recommendations"][0]["theme"] == "sea"


def test_a_thousand_captions_are_possible_and_one_more_is_not(client):
    entries = [{"caption": f'"{n}", a day', "description": "red", "theme": "all, of them"} for n in range(1000)]
    body = {"images": [base64.b64encode(RED).decode()], "captions": entries, "top": 50}
    assert len(captions_of(client.post(URL, json=body))) == 50
    answer = client.post(URL, json=body | {"captions": [*entries, "more"]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "captions"
    lines = "\n".join(f"a red day {n}" for n in range(1000))
    assert len(captions_of(client.post(URL, files={"image": RED}, data={"captions": lines}))) == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top", 0),
        ("top", 51),
        ("top", 2.5),
        ("diverse", "perhaps"),
        ("correction", "magic"),
        ("captions", []),
        ("captions", [""]),
        ("captions", ["a", 3]),
        ("captions", [{"description": "no caption"}]),
        ("captions", ["x" * 501]),
        ("captions", ["line\nbreak"]),
        ("theme", "no such theme"),
        ("unknown", 1),
        ("library", None),
    ],
)
def test_what_is_wrong_is_named(client, field, value):
    answer = client.post(URL, json={"images": [base64.b64encode(RED).decode()], field: value})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field


def test_a_library_and_captions_contradict(client):
    fields = {"library": "social", "captions": "one"}
    assert client.post(URL, files={"image": RED}, data=fields).status_code == 422
    assert client.post(URL, files={"image": RED}, data={"library": "other"}).status_code == 404
    assert client.post(URL, data={"top": "3"}, files={"top2": b""}).status_code == 422
    assert client.post(URL, json={"images": []}).json()["errors"][0]["field"] == "images"


def test_the_library_is_shown(client):
    (listed,) = client.get("/v1/libraries").json()["libraries"]
    assert listed == {
        "name": "social",
        "default": True,
        "model": "toy",
        "captions": len(CAPTIONS),
        "themes": ["warm", "cool"],
    }
    entries = client.get("/v1/libraries/social").json()["entries"]
    assert entries == [{"caption": c, "description": d, "theme": t or None} for c, d, t in CAPTIONS]
    assert client.get("/v1/libraries/other").status_code == 404


def test_without_a_library_the_answer_says_how_to_start(tmp_path):
    with client_of(quick_app()) as client:
        assert client.get("/v1/libraries").json() == {"libraries": []}
        for answer in (client.post(URL, files={"image": RED}), client.get("/v1/libraries/social")):
            assert answer.status_code == 404 and "--recommend" in answer.json()["detail"]
        assert client.post("/v1/captions", files={"image": RED}).status_code == 200
