import io
import json
import os
import threading

import pytest
from PIL import Image

from capsmith.deploy.serving.openapi import openapi_document
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.studio.app import studio_app
from tests.deploy.studio.projects import client_of_studio, propose, studio_of, wait_until, write_image
from tests.support.service import QuickCaptioner

JSON = {"content-type": "application/json"}


@pytest.fixture
def studio(folder):
    studio = studio_of(folder)
    yield studio
    studio.store.close()


@pytest.fixture
def client(studio):
    """A client without captioning in the background."""
    return client_of_studio(studio)


@pytest.fixture
def running(studio):
    """A client of a studio that has captioned everything."""
    with client_of_studio(studio) as client:
        wait_until(lambda: client.get("/v1/studio/progress").json()["captioned"] == 4)
        yield client


def problem(response, status):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


def put(client, id, **body):
    return client.put(f"/v1/studio/images/{id}", json={"caption": "mine", "status": "edited", "revision": 0, **body})


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_list_has_every_image_with_its_words(running):
    page = running.get("/v1/studio/images").json()
    assert page["total"] == 4
    first = page["images"][0]
    assert {
        name: first[name] for name in ("id", "name", "width", "height", "status", "caption", "proposed", "revision")
    } == {
        **{"id": 1, "name": "a.png", "width": 12, "height": 8, "status": "proposed", "revision": 0},
        **{"caption": "a grey picture", "proposed": "a grey picture"},
    }
    assert first["words"] == [
        {"word": "a", "probability": 0.9},
        {"word": "grey", "probability": 0.8},
        {"word": "picture", "probability": 0.7},
    ]
    assert first["per_word"] == pytest.approx(-0.2284, abs=1e-3) and first["error"] is None


def test_filters_words_and_parts_of_the_list(client, studio):
    propose(studio.store, 2, "a cat", per_word=-5.0)
    propose(studio.store, 3, "a dog", per_word=-1.0)
    ids = lambda query: [image["id"] for image in client.get(f"/v1/studio/images?{query}").json()["images"]]  # noqa: E731
    assert ids("sort=uncertain&limit=2") == [2, 3]
    assert ids("q=DOG") == [3]
    assert ids("filter=todo&offset=3") == [4]
    assert ids("ids=4,2,99") == [2, 4]
    assert client.get("/v1/studio/images?q=dog&limit=1&offset=5").json() == {"total": 1, "images": []}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "sort=path",
        "filter=x",
        "q=" + "x" * 201,
        "path=/etc/passwd",
        "ids=1,",
        "ids=x",
    ],
)
def test_a_query_that_is_not_valid(client, query):
    assert problem(client.get(f"/v1/studio/images?{query}"), 422)["errors"][0]["field"]


def test_an_image_has_alternatives_and_maps_of_the_model_that_proposed(running, studio):
    image = running.get("/v1/studio/images/1").json()
    assert [len(word["attention"]) for word in image["words"]] == [9, 9, 9]
    assert image["words"][1]["attention"][1][1] == 1
    assert image["unlike_training"] is None and image["alternatives"] == []
    without = running.get("/v1/studio/images/1?attention=false").json()
    assert [sorted(word) for word in without["words"]] == [["probability", "word"]] * 3
    studio.looks._fingerprint = "another"
    assert "attention" not in running.get("/v1/studio/images/2").json()["words"][0]


def test_maps_are_computed_once(folder):
    captioner = QuickCaptioner()
    with client_of_studio(studio_of(folder, captioner)) as client:
        wait_until(lambda: client.get("/v1/studio/progress").json()["captioned"] == 4)
        first = client.get("/v1/studio/images/1").json()
        count = len(captioner.encoded)
        assert client.get("/v1/studio/images/1").json() == first
        assert len(captioner.encoded) == count


def test_progress(running, studio, folder):
    put(running, 1)
    put(running, 2, status="accepted", caption=studio.store.image(2).proposed)
    progress = running.get("/v1/studio/progress").json()
    assert len(progress.pop("project")) == 32
    assert progress == {
        "folder": "photos",
        "total": 4,
        "captioned": 4,
        "failed": 0,
        "edited": 1,
        "accepted": 1,
        "running": False,
        "message": None,
    }


@pytest.mark.parametrize("part, side", [("thumbnail", 480), ("picture", 1600)])
def test_pictures_are_upright_jpegs_without_metadata(tmp_path, part, side):
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret"
    Image.new("RGB", (2000, 1000), (200, 30, 30)).save(folder / "a.jpg", exif=exif, comment=b"a secret")
    client = client_of_studio(studio_of(folder))
    response = client.get(f"/v1/studio/images/1/{part}")
    assert response.headers["content-type"] == "image/jpeg"
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.format, picture.size) == ("JPEG", (side // 2, side))
    assert b"a secret" not in response.content and not picture.getexif()
    tag = response.headers["etag"]
    assert client.get(f"/v1/studio/images/1/{part}", headers={"if-none-match": tag}).status_code == 304
    write_image(folder / "a.jpg", seed=5)
    assert client.get(f"/v1/studio/images/1/{part}", headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize("part", ["", "/thumbnail", "/picture"])
@pytest.mark.parametrize(
    "id, status",
    [
        ("99", 404),
        ("0", 422),
        ("-1", 422),
        ("x", 422),
        ("1e3", 422),
        ("9" * 30, 422),
        ("%2e%2e", 422),
        ("..%2f..%2fetc%2fpasswd", 404),
    ],
)
def test_images_are_addressed_by_number_only(client, part, id, status):
    problem(client.get(f"/v1/studio/images/{id}{part}"), status)


def test_a_file_that_is_gone_or_becomes_something_else(client, studio, folder):
    (folder / "a.png").unlink()
    (folder / "b.png").unlink()
    os.mkfifo(folder / "b.png")
    (folder / "c.png").write_text("not an image")
    for id in (1, 2, 3):
        for part in ("thumbnail", "picture"):
            assert str(folder) not in problem(client.get(f"/v1/studio/images/{id}/{part}"), 404)["detail"]
        assert client.get(f"/v1/studio/images/{id}").status_code == 200
        assert put(client, id).json()["caption"] == "mine"


def test_new_and_removed_images_are_found_while_the_studio_runs(running, studio, folder):
    put(running, 2)
    (folder / "a.png").unlink()
    write_image(folder / "new.png", seed=30)
    (folder / "b.png").rename(folder / "renamed.png")
    assert running.post("/v1/studio/scan").json()["total"] == 4
    wait_until(lambda: running.get("/v1/studio/progress").json()["captioned"] == 4)
    images = {image["name"]: image for image in running.get("/v1/studio/images").json()["images"]}
    assert sorted(images) == ["c.png", "new.png", "renamed.png", "sub/d.png"]
    assert (images["renamed.png"]["id"], images["renamed.png"]["caption"]) == (2, "mine")
    assert images["new.png"]["status"] == "proposed"
    problem(running.get("/v1/studio/images/1"), 404)
    for path in folder.rglob("*.png"):
        path.unlink()
    problem(running.post("/v1/studio/scan"), 409)  # a disk that was unplugged, perhaps: nothing is forgotten
    assert running.get("/v1/studio/progress").json()["total"] == 4


# --- writing ----------------------------------------------------------------------------------------------------------


def test_an_edit_is_answered_by_the_image(running, studio):
    image = put(running, 1, caption="كلب <b>يركض</b>").json()
    assert (image["caption"], image["status"], image["revision"]) == ("كلب <b>يركض</b>", "edited", 1)
    assert studio.store.image(1).caption == image["caption"]
    assert put(running, 1, status="proposed", caption="", revision=1).json()["caption"] == "a grey picture"
    assert put(running, 1, status="accepted", caption="a grey picture", revision=2.0).json()["status"] == "accepted"


def test_two_windows_conflict(client):
    put(client, 1, caption="first")
    current = problem(put(client, 1, caption="second"), 409)["current"]
    assert (current["id"], current["caption"], current["revision"]) == (1, "first", 1)
    assert put(client, 1, caption="second", revision=1).json()["caption"] == "second"


def test_an_edit_can_be_taken_back(client):
    put(client, 1, caption="first")
    put(client, 1, caption="second", revision=1)
    undone = client.post("/v1/studio/images/1/undo", json={"revision": 2}).json()
    assert (undone["caption"], undone["revision"]) == ("first", 3)
    problem(client.post("/v1/studio/images/1/undo", json={"revision": 1}), 409)
    problem(client.post("/v1/studio/images/1/undo", json={}), 422)


@pytest.mark.parametrize(
    "body, status, field",
    [
        (b'{"caption": "a\\nb", "status": "edited", "revision": 0}', 422, "caption"),
        (b'{"caption": "\\u0000", "status": "edited", "revision": 0}', 422, "caption"),
        (b'{"caption": "\\ud800", "status": "edited", "revision": 0}', 400, None),
        (b'{"caption": "  ", "status": "accepted", "revision": 0}', 422, "caption"),
        (json.dumps({"caption": "x" * 1001, "status": "edited", "revision": 0}).encode(), 422, "caption"),
        (b'{"caption": 3, "status": "edited", "revision": 0}', 422, "caption"),
        (b'{"caption": "a", "status": "failed", "revision": 0}', 422, "status"),
        (b'{"caption": "a", "status": "edited"}', 422, "revision"),
        (b'{"caption": "a", "status": "edited", "revision": true}', 422, "revision"),
        (b'{"caption": "a", "status": "edited", "revision": 1.5}', 422, "revision"),
        (b'{"caption": "a", "status": "edited", "revision": 99999999999999999999}', 400, None),
        (b'{"caption": "a", "status": "edited", "revision": 2147483648}', 422, "revision"),
        (b'{"caption": "a", "status": "edited", "revision": 0, "path": "/etc/passwd"}', 422, "path"),
        (b"[1]", 422, "body"),
        (b"{", 400, None),
        (b'{"caption": "a", "caption": "b", "status": "edited", "revision": 0}', 400, None),
        (b"\xff", 400, None),
        (b'{"caption": "' + b"x" * 20_000 + b'"}', 413, None),
        (b"[" * 5000, 400, None),
    ],
)
def test_a_body_that_is_not_valid(client, studio, body, status, field):
    answer = problem(client.put("/v1/studio/images/1", content=body, headers=JSON), status)
    assert [error["field"] for error in answer.get("errors", [])] == ([field] if field else [])
    assert studio.store.image(1).revision == 0


@pytest.mark.parametrize("method, path", [("PUT", "/images/1"), ("POST", "/exports"), ("POST", "/images/1/undo")])
def test_changes_are_json_of_the_same_origin(client, studio, method, path):
    body = b'{"caption": "a", "status": "edited", "revision": 0}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        problem(client.request(method, f"/v1/studio{path}", content=body, headers={"content-type": kind}), 415)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        problem(client.request(method, f"/v1/studio{path}", content=body, headers={**JSON, **headers}), 403)
    problem(client.request(method, f"/v1/studio{path}", content=body, headers={**JSON, "host": "evil.example"}), 403)
    assert studio.store.image(1).revision == 0


def test_an_edit_that_cannot_be_saved_is_not_acknowledged(client, studio):
    (studio.store.project / "studio.sqlite").unlink()
    assert "retry-after" in put(client, 1).headers
    problem(put(client, 1), 503)


def test_exports(running, folder):
    answer = running.post("/v1/studio/exports", json={"formats": ["csv", "txt", "csv"]}).json()
    assert answer == {
        "files": ["captions.csv", "4 .txt files"],
        "folder": "images",
        "kept": 0,
        "kept_files": [],
        "failed": [],
    }
    assert (folder / "sub/d.txt").exists()
    response = running.get("/v1/studio/captions.csv")
    assert response.content == (folder / "captions.csv").read_bytes()
    assert "attachment" in response.headers["content-disposition"]
    (folder / "captions.csv").write_text("theirs")
    problem(running.post("/v1/studio/exports", json={"formats": ["csv"]}), 409)


@pytest.mark.parametrize("formats", [[], ["exe"], "csv", ["csv"] * 5, ["../x"], None])
def test_formats_that_do_not_exist(client, formats):
    problem(client.post("/v1/studio/exports", json={"formats": formats}), 422)


# --- training ---------------------------------------------------------------------------------------------------------


class FakeTraining:
    state = "none"

    def start(self):
        from capsmith.core.errors import ConfigError

        if self.state == "running":
            raise ConfigError("it runs already")
        self.state = "running"

    def stop(self):
        self.state = "stopped"

    def status(self):
        return {"state": self.state, "message": "epoch 1", "progress": 0.5}


def test_a_training_is_started_and_stopped(folder):
    client = client_of_studio(studio_of(folder, retraining=FakeTraining()))
    assert client.get("/v1/studio/retrain").json()["state"] == "none"
    assert client.post("/v1/studio/retrain", json={}).json()["state"] == "running"
    problem(client.post("/v1/studio/retrain"), 409)
    assert client.delete("/v1/studio/retrain").json()["state"] == "stopped"


def test_without_a_training(client):
    assert client.get("/v1/studio/retrain").json() == {
        "state": "none",
        "message": "",
        "progress": 0.0,
        "run": None,
        "before": None,
        "after": None,
    }
    problem(client.post("/v1/studio/retrain"), 409)


# --- the application --------------------------------------------------------------------------------------------------


def test_the_document_names_every_operation_with_its_errors(studio):
    settings = ServeSettings()
    document = openapi_document(studio_app(studio, settings), settings)
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/studio")
    }
    assert {f"{method} {path.removeprefix('/v1/studio')}" for method, path in operations} == {
        "get /images",
        "get /images/{id}",
        "put /images/{id}",
        "post /images/{id}/undo",
        "get /images/{id}/thumbnail",
        "get /images/{id}/picture",
        "get /progress",
        "post /exports",
        "post /scan",
        "get /captions.csv",
        "get /retrain",
        "post /retrain",
        "delete /retrain",
    }
    for (method, path), operation in operations.items():
        assert (
            operation["operationId"] and operation["summary"] and {"400", "403", "500"} <= set(operation["responses"])
        )
        if "{id}" in path:
            assert {"404", "422"} <= set(operation["responses"])
        if method == "put":
            assert {"409", "413", "415"} <= set(operation["responses"])


def test_captions_of_the_service_are_there_too(running):
    from tests.support.service import image_bytes

    answer = running.post("/v1/captions", files={"image": image_bytes()}).json()
    assert answer["results"][0]["caption"] == "a red picture"


def test_edits_of_many_clients_at_once(running, studio):
    answers = []

    def work(id):
        for revision in range(12):
            answers.append(put(running, id, caption=f"{id} {revision}", revision=revision).status_code)

    threads = [threading.Thread(target=work, args=(id,)) for id in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 48
    assert [studio.store.image(id).caption for id in (1, 2, 3, 4)] == ["1 11", "2 11", "3 11", "4 11"]


def test_the_project_is_closed_at_the_end(folder):
    with client_of_studio(studio_of(folder)):
        pass
    studio_of(folder).store.close()
