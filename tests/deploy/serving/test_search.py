"""Image search over the API, and the management of indexes: the colours say what is right."""

import base64
import io
import threading
import time

import pytest
from PIL import Image

from capsmith.core.errors import DataError
from capsmith.deploy.search import build_index
from tests.support.finding import colour_photos, finding_app, toy_embedder
from tests.support.service import client_of, image_bytes, quick_app
from tests.support.toy_embedder import COLOURS

RED = image_bytes((220, 30, 30))
URL = "/v1/search"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return colour_photos(tmp_path_factory.mktemp("finding") / "photos")


@pytest.fixture(scope="module")
def client(photos):
    with client_of(finding_app(photos, photos.parent / "photos.index")) as client:
        yield client


def names_of(answer):
    assert answer.status_code == 200, answer.text
    return [hit["name"] for hit in answer.json()["results"]]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_phrase_finds_its_colour(client, colour):
    answer = client.post(URL, json={"text": f"a {colour} square", "top": 2})
    assert sorted(name.replace("copy of red", "red-0") for name in names_of(answer)) == [
        f"{colour}-0.png",
        f"{colour}-1.png",
    ]
    assert (answer.json()["index"], answer.json()["query"]) == ("colours", "text")
    assert answer.json()["unknown_words"] == ["a", "square"]
    first = answer.json()["results"][0]
    assert first["semantic"] > 0.95 and first["visual"] is None


def test_an_image_finds_what_looks_alike(client):
    form = client.post(URL, files={"image": ("q.png", RED)}, data={"top": "2", "by": "visual"})
    json = client.post(URL, json={"image": base64.b64encode(RED).decode(), "top": 2, "by": "visual"})
    assert form.json() == json.json() and form.json()["query"] == "image"
    assert all("red" in name for name in names_of(form))
    assert form.json()["results"][0]["visual"] == pytest.approx(1, abs=0.01)


def test_copies_are_folded_into_one_result(client):
    folded = client.post(URL, json={"text": "red", "top": 200}).json()["results"]
    assert [hit["duplicates"] for hit in folded if hit["name"] == "copy of red.png"] == [["red-0.png"]]
    assert len(folded) == 2 * len(COLOURS)


def test_a_result_is_the_next_query(client):
    first = client.post(URL, json={"text": "green", "top": 1}).json()["results"][0]
    answer = client.post(URL, json={"like": first["id"], "top": 1})
    (again,) = answer.json()["results"]
    assert again["name"].startswith("green") and again["id"] != first["id"]
    assert again["visual"] is not None and again["semantic"] is not None


def test_the_threshold_leaves_out_what_is_lower(client):
    scores = [hit["semantic"] for hit in client.post(URL, json={"text": "red", "top": 200}).json()["results"]]
    assert len(scores) == 2 * len(COLOURS) and scores == sorted(scores, reverse=True)
    kept = client.post(URL, json={"text": "red", "top": 200, "threshold": 0.9}).json()["results"]
    assert len(kept) == sum(score >= 0.9 for score in scores) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": "red", "like": 1}, "like"),
        ({"text": "red", "image": base64.b64encode(RED).decode()}, "image"),
        ({"text": "red", "by": "visual"}, "by"),
        ({"text": "red", "top": 0}, "top"),
        ({"text": "red", "top": 201}, "top"),
        ({"text": "red", "threshold": 1.5}, "threshold"),
        ({"words": "red", "threshold": 0.5}, "threshold"),
        ({"text": ""}, "text"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"like": 0}, "like"),
        ({"like": "1"}, "like"),
        ({"like": 1, "by": "smell"}, "by"),
        ({"image": "no base64!"}, "image"),
        ({"image": ["a"]}, "image"),
        ({"images": []}, "images"),
    ],
)
def test_what_is_wrong_is_named(client, body, field):
    answer = client.post(URL, json=body)
    assert answer.status_code == 422 and field in {error["field"] for error in answer.json()["errors"]}


def test_what_is_not_there_is_not_found(client):
    assert client.post(URL, json={"like": 999}).status_code == 404
    assert client.post(URL, json={"text": "red", "index": "other"}).status_code == 404
    assert client.get("/v1/indexes/other").status_code == 404
    assert client.post("/v1/indexes/other/refresh").status_code == 404
    for id in ("0", "999", "99999999999999999999", "-1", "1.png", "..%2f1"):
        assert client.get(f"/v1/indexes/colours/images/{id}/thumbnail").status_code in (404, 422)
    assert client.post(URL, files=[("image", RED), ("image", RED)]).status_code == 422


def test_pictures_are_jpegs_of_the_image(client):
    hit = client.post(URL, json={"text": "blue", "top": 1}).json()["results"][0]
    for part in ("thumbnail", "picture"):
        answer = client.get(hit[part])
        assert answer.headers["content-type"] == "image/jpeg"
        red, green, blue = Image.open(io.BytesIO(answer.content)).getpixel((5, 5))
        assert blue > 180 and max(red, green) < 80
        again = client.get(hit[part], headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and not again.content


def test_the_indexes_are_listed_without_a_path(client, photos):
    (index,) = client.get("/v1/indexes").json()["indexes"]
    assert (index["name"], index["default"], index["images"], index["model"]) == ("colours", True, 13, "toy")
    assert client.get("/v1/indexes/colours").json() == index
    assert str(photos.parent) not in client.get("/v1/indexes").text
    assert str(photos.parent) not in client.post(URL, json={"text": "red"}).text


def wait_for(client, name="colours"):
    end = time.monotonic() + 20
    while (state := client.get(f"/v1/indexes/{name}").json())["refresh"]["running"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    return state


def test_a_refresh_finds_new_images_and_runs_once_at_a_time(tmp_path):
    photos = colour_photos(tmp_path / "photos", copies=1)
    home, gate = tmp_path / "photos.index", threading.Event()

    def scan(told):
        told(3, 7)
        assert gate.wait(20)
        return {"new": build_index(photos, home, toy_embedder(), told=told).new}

    with client_of(finding_app(photos, home, scan=scan)) as client:
        Image.new("RGB", (20, 20), (160, 30, 30)).save(photos / "new red.png")
        started = client.post("/v1/indexes/colours/refresh")
        assert started.status_code == 202 and started.json()["refresh"]["running"]
        assert client.post("/v1/indexes/colours/refresh").status_code == 409
        while (state := client.get("/v1/indexes/colours").json()["refresh"])["done"] != 3:
            time.sleep(0.01)
        assert state["total"] == 7
        assert names_of(client.post(URL, json={"text": "red", "top": 1})) == ["copy of red.png"]  # meanwhile
        gate.set()
        described = wait_for(client)
        assert described["refresh"]["report"] == {"new": 1} and described["images"] == len(COLOURS) + 2
        found = names_of(client.post(URL, json={"text": "red", "top": 2}))
        assert set(found) == {"new red.png", "copy of red.png"}


def test_a_refresh_that_fails_says_why_and_leaves_the_index_usable(tmp_path):
    photos = colour_photos(tmp_path / "photos", copies=1)

    def scan(told):
        raise DataError("the folder is gone")

    with client_of(finding_app(photos, tmp_path / "photos.index", scan=scan)) as client:
        client.post("/v1/indexes/colours/refresh")
        assert wait_for(client)["refresh"]["message"] == "the folder is gone"
        assert names_of(client.post(URL, json={"text": "red", "top": 1})) == ["copy of red.png"]


def test_a_page_of_another_site_cannot_refresh(client):
    answer = client.post("/v1/indexes/colours/refresh", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403


def test_without_an_index_the_answer_says_how_to_start():
    with client_of(quick_app()) as client:
        assert client.get("/v1/indexes").json() == {"indexes": []}
        paths = ("/v1/indexes/a", "/v1/indexes/a/images/1/thumbnail")
        for answer in (client.post(URL, json={"text": "red"}), *map(client.get, paths)):
            assert answer.status_code == 404 and "--search" in answer.json()["detail"]


def test_searches_are_counted(client):
    client.post(URL, json={"text": "red"})
    lines = client.get("/metrics").text
    assert 'capsmith_searches_total{index="colours",query="text"}' in lines
