import asyncio
import math
import os
import sys
import threading

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.deploy.serving.models import Models, served_model
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.deploy.studio.proposals import AT_ONCE, Proposals, proposal_of
from capsmith.deploy.studio.records import Todo
from capsmith.models.caption import Caption
from tests.deploy.studio.projects import (
    client_of_studio,
    listing,
    opened,
    photos,
    propose,
    studio_of,
    wait_until,
    write_image,
)
from tests.support.service import QuickCaptioner, image_bytes


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos", [f"{n:02}.png" for n in range(20)])


def captioned(store, captioner=None, fingerprint="one", **more):
    model = served_model("quick", captioner or QuickCaptioner(), ServeSettings())
    proposals = Proposals(store, model, fingerprint, **more)

    async def run():
        await proposals.run()
        await model.batcher.close()

    asyncio.run(run())
    return proposals


def test_every_image_gets_a_caption_with_its_words(folder):
    with opened(folder) as store:
        proposals = captioned(store)
        assert (proposals.running, proposals.error) == (False, "")
        image = store.image(1)
        assert (image.status, image.caption, image.model) == ("proposed", "a grey picture", "one")
        assert (image.width, image.height) == (12, 8)
        assert image.details["words"] == ["a", "grey", "picture"]
        assert image.details["probabilities"] == [0.9, 0.8, 0.7]
        assert image.per_word == pytest.approx(math.log(0.9 * 0.8 * 0.7) / 3)
        assert store.counts().captioned == 20 and store.todo("one") == []


def test_captions_are_those_of_the_pipeline(folder):
    from capsmith.deploy.folder.pipeline import caption_images

    captioner = QuickCaptioner()
    captioner._image_sizes = captioner.image_sizes
    captioner.caption_features = lambda features, decoding=None, **_: [
        Caption(f"{row.round(3)}", -1.0, -1.0, words=("a",)) for row in features
    ]
    captioner.word_details = lambda features, captions, attention=False, **_: captions
    with opened(folder) as store:
        captioned(store, captioner)
        expected = [one.caption.text for one in caption_images(captioner, listing(folder).paths)]
        assert [image.caption for image in store.images().images] == expected
        assert len(set(expected)) == 20


def test_alternatives_and_log_probabilities_are_kept(folder):
    other = Caption("a cat", -2.0, -6.0, words=("a", "cat"))
    caption = Caption("a dog", -1.0, -3.0, (other,), ("a", "dog"))
    proposal = proposal_of(Todo(1, folder, (1, 2)), (3, 4), caption, "m")
    assert (proposal.log_probability, proposal.per_word) == (-3.0, -1.5)
    assert proposal.details["alternatives"] == [{"caption": "a cat", "log_probability": -6.0, "score": -2.0}]
    assert proposal.details["score"] == -1.0


def test_files_that_cannot_be_read_fail_and_do_not_stop_the_others(folder):
    (folder / "00.png").write_text("not an image")
    (folder / "05.png").unlink()
    (folder / "05.png").symlink_to(folder / "nowhere")
    (folder / "19.png").write_bytes(b"")
    with opened(folder) as store:
        captioned(store)
        failed = {image.name: image.error for image in store.images(filter="failed").images}
        assert set(failed) == {"00.png", "19.png"}  # a broken link is not listed
        assert not any(str(folder) in error for error in failed.values())
        assert store.counts().captioned == 17
    write_image(folder / "00.png", seed=60)
    with opened(folder) as store:
        captioned(store)
        assert (store.image(1).status, store.image(1).error) == ("proposed", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
@pytest.mark.parametrize("name", [b"a  b.png", b"new\nline.png", b"caf\xe9.png", b"\xff\xfe.png", b"-rf *.png"])
def test_strange_names_of_damaged_and_good_files(tmp_path, name):
    folder = photos(tmp_path / "photos", ["0.png"])
    raw = os.path.join(os.fsencode(folder), name)
    with open(raw, "wb") as file:
        file.write(b"not an image")
    with client_of_studio(studio_of(folder)) as client:
        wait_until(lambda: not client.get("/v1/studio/progress").json()["running"])
        (image,) = client.get("/v1/studio/images?filter=failed").json()["images"]
        assert image["error"].startswith("not an image") and image["name"] == name.decode("utf-8", "backslashreplace")
        assert client.get(f"/v1/studio/images/{image['id']}/thumbnail").status_code == 404
    os.unlink(raw)
    write_image(folder / os.fsdecode(name), seed=4)
    with client_of_studio(studio_of(folder)) as client:
        wait_until(lambda: not client.get("/v1/studio/progress").json()["running"])
        assert client.get("/v1/studio/progress").json()["captioned"] == 2
        assert client.post("/v1/studio/exports", json={"formats": ["csv", "jsonl", "txt"]}).json()["kept"] == 0
    assert os.path.exists(raw.removesuffix(b".png") + b".txt")


def test_only_what_is_new_or_changed_is_captioned_after_a_restart(folder):
    with opened(folder) as store:
        captioned(store)
        store.edit(3, "mine", "edited", 0)
    write_image(folder / "new.png", seed=70)
    write_image(folder / "01.png", seed=71)
    write_image(folder / "02.png", seed=72)  # edited: only the model's caption is gone
    captioner = QuickCaptioner()
    with opened(folder) as store:
        captioned(store, captioner)
        assert sum(captioner.encoded) == 2
        assert (store.image(3).caption, store.image(3).status) == ("mine", "edited")


def test_another_model_proposes_again_only_for_untouched_images(folder):
    with opened(folder) as store:
        for id in range(1, 21):
            propose(store, id, "old")
        store.edit(1, "mine", "edited", 0)
        store.edit(2, "old", "accepted", 0)
        captioned(store, fingerprint="two")
        assert store.image(3).caption == "old"
        captioned(store, fingerprint="two", again=True)
        assert [store.image(id).caption for id in (1, 2, 3)] == ["mine", "old", "a grey picture"]


def test_an_image_that_is_edited_while_it_is_captioned_stays_edited(folder):
    captioner = QuickCaptioner()
    captioner.gate.clear()
    with client_of_studio(studio_of(folder, captioner)) as client:
        url = "/v1/studio/images/1"
        answer = client.put(url, json={"caption": "mine", "status": "edited", "revision": 0})
        assert answer.status_code == 200
        captioner.gate.set()
        wait_until(lambda: not client.get("/v1/studio/progress").json()["running"])
        image = client.get(f"{url}?attention=false").json()
        assert (image["caption"], image["proposed"], image["revision"]) == ("mine", "a grey picture", 1)
        again = client.put(url, json={"caption": "", "status": "proposed", "revision": 1}).json()
        assert again["caption"] == "a grey picture"


def test_a_request_of_a_person_goes_before_the_background(tmp_path):
    folder = photos(tmp_path / "photos", [f"{n:03}.png" for n in range(10 * AT_ONCE)])
    captioner = QuickCaptioner(delay=0.02)
    done = threading.Event()
    with client_of_studio(studio_of(folder, captioner)) as client:
        wait_until(lambda: client.get("/v1/studio/progress").json()["captioned"] > 0)
        for _ in range(5):
            before = sum(captioner.encoded)
            answer = client.post("/v1/captions", files={"image": image_bytes()})
            assert answer.json()["results"][0]["caption"] == "a red picture"
            assert sum(captioner.encoded) - before <= 1 + 2 * AT_ONCE
        done.set()


def test_a_killed_studio_goes_on(folder):
    captioner = QuickCaptioner()
    with opened(folder) as store:
        model = served_model("quick", captioner, ServeSettings())

        async def run():
            task = asyncio.create_task(Proposals(store, model, "one").run())
            while not store.counts().captioned:
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await model.batcher.close()

        asyncio.run(run())
        count = store.counts().captioned
        assert AT_ONCE <= count < 20
    again = QuickCaptioner()
    with opened(folder) as store:
        captioned(store, again)
        assert sum(again.encoded) == 20 - count


@pytest.mark.parametrize(
    "error, message",
    [(CapsmithError("the model is broken"), "the model is broken"), (ZeroDivisionError(), "ZeroDivision")],
)
def test_an_error_of_the_model_is_told(folder, error, message):
    class Broken(QuickCaptioner):
        def encode(self, pixels):
            raise error

    with client_of_studio(studio_of(folder, Broken())) as client:
        wait_until(lambda: client.get("/v1/studio/progress").json()["message"])
        progress = client.get("/v1/studio/progress").json()
        assert progress["running"] is False and message in progress["message"]
        assert client.get("/v1/studio/images/1").json()["status"] == "pending"


def test_before_and_without_a_model_the_captions_can_be_edited(folder):
    studio = studio_of(folder)
    studio.models = studio.looks._models = Models(names=["slow"])
    with client_of_studio(studio) as client:
        assert client.get("/v1/studio/progress").json()["running"] is True
        body = {"caption": "mine", "status": "edited", "revision": 0}
        assert client.put("/v1/studio/images/1", json=body).status_code == 200
        assert client.get("/v1/studio/images/1").json()["words"] == []
        studio.models.error = CapsmithError("the model cannot be loaded")
        progress = client.get("/v1/studio/progress").json()
        assert (progress["running"], progress["message"]) == (False, "the model cannot be loaded")
