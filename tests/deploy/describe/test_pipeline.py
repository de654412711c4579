"""All parts over toys; parts that are missing, not asked for, or fail."""

import json
import threading

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import ConfigError, ImageError
from capsmith.deploy.describe import Describer
from capsmith.deploy.describe.page import page
from capsmith.deploy.describe.record import PARTS
from capsmith.deploy.describe.sources.download_cache import DownloadCache
from capsmith.deploy.describe.sources.pixabay import Pixabay
from tests.support.describing import OBJECTS, SENTENCE, Broken, FixedDetector, SentenceCaptioner, toy_describer
from tests.support.image_server import KEY, image_server
from tests.support.toy_index import picture


@pytest.fixture
def photo(tmp_path):
    picture("red", seed=77).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_every_part_is_in_the_record(tmp_path, photo):
    record = toy_describer(tmp_path).describe(photo, top=2).as_dict()
    assert json.loads(json.dumps(record)) == record
    assert (record["image"], record["width"], record["height"]) == (str(photo), 32, 16)
    assert record["caption"]["text"] == SENTENCE and record["caption"]["model"] == "toy"
    assert record["caption"]["alternatives"] == ["a dog"]
    assert [one["label"] for one in record["objects"]["found"]] == [one.label for one in OBJECTS]
    assert record["objects"]["found"][1]["box"] == [16.0, 4.0, 32.0, 16.0]
    statuses = {word["word"]: (word["status"], word["objects"]) for word in record["grounding"]["words"]}
    assert statuses["dogs"] == ("confirmed", [0, 2]) and statuses["woman"] == ("confirmed", [1])
    assert statuses["frisbee"] == ("unconfirmed", []) and statuses["grass"] == ("unknown", [])
    assert record["grounding"]["unnamed"] == [3]
    for place in ("similar", "found"):
        assert [one["path"] for one in record[place]["look"]][0] == str(tmp_path / "photos" / "red.png")
        assert len(record[place]["meaning"]) == 2 and record[place]["meaning"][0]["semantic"] > 0.99
    assert record["found"]["query"] == "woman dogs"
    assert record["recommendations"]["captions"][0]["caption"] == "red thing"
    assert record["omitted"] == record["failed"] == {}
    assert {"caption", "objects", "vectors", "similar", "found", "recommendations", "total"} <= record["seconds"].keys()


@pytest.mark.parametrize("kind", ["path", "bytes", "image", "array"])
def test_any_source_of_an_image(tmp_path, photo, kind):
    image = Image.open(photo)
    source = {"path": str(photo), "bytes": photo.read_bytes(), "image": image, "array": np.asarray(image)}[kind]
    one = toy_describer(tmp_path).describe(source, name="mine", parts=["caption", "similar"])
    assert (one.image, one.width, one.height) == ("mine", 32, 16)
    assert one.similar.look[0].name == "red.png"


def test_an_image_of_pillow_is_decoded_before_threads_use_it(tmp_path):
    Image.new("RGB", (640, 480), "red").save(tmp_path / "photo.jpg", exif=_turned())
    seen = []

    class Looking(FixedDetector):
        def detect(self, image, threshold=None):
            seen.append(image)
            return super().detect(image, threshold)

    with Image.open(tmp_path / "photo.jpg") as image:
        one = Describer(SentenceCaptioner(), Looking()).describe(image)
    assert (one.width, one.height) == (480, 640) and seen[0].shape == (640, 480, 3)


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_scores_are_the_cosines_of_both_kinds(tmp_path, photo):
    describer = toy_describer(tmp_path)
    one = describer.describe(photo, top=3)
    mine = describer.vectors.vectors(photo)
    for similar in (one.similar, one.found):
        for kind, name in (("meaning", "semantic"), ("look", "visual")):
            listed = getattr(similar, kind)
            scores = [getattr(hit, name) for hit in listed]
            assert scores == sorted(scores, reverse=True)
            for hit in listed:
                other = describer.vectors.vectors(hit.path)
                assert hit.semantic == pytest.approx(float(mine.semantic @ other.semantic), abs=2e-3)
                assert hit.visual == pytest.approx(float(mine.visual @ other.visual), abs=2e-3)


def test_the_image_itself_is_not_similar_to_itself(tmp_path):
    one = toy_describer(tmp_path).describe(tmp_path / "photos" / "red.png", top=50)
    for similar in (one.similar, one.found):
        names = [hit.path.name for hit in (*similar.meaning, *similar.look)]
        assert "red.png" not in names and "green.png" in names


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing_is_omitted_and_the_others_are_kept(tmp_path, photo, part):
    parts = {
        "caption": "captioner",
        "objects": "detector",
        "similar": "index",
        "found": "source",
        "recommendations": "recommender",
    }
    describer = toy_describer(tmp_path, **({parts[part]: None} if part in parts else {}))
    record = describer.describe(photo, query="red", parts=[one for one in PARTS if one != part]).as_dict()
    expected = {part, "grounding"} if part in ("caption", "objects") else {part}
    assert record["omitted"].keys() == expected and not record["failed"]
    assert {name for name in PARTS if record[name] is None} == expected


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("captioner", {"caption"}),
        ("detector", {"objects"}),
        ("index", {"similar"}),
        ("recommender", {"recommendations"}),
        ("source", {"found"}),
        ("vectors", {"similar", "recommendations", "found"}),
    ],
)
@pytest.mark.parametrize("error", [ConfigError, RuntimeError, MemoryError])
def test_a_part_that_fails_does_not_lose_the_others(tmp_path, photo, part, lost, error):
    record = toy_describer(tmp_path, **{part: Broken("no\x1b[31m luck", error)}).describe(photo, query="red").as_dict()
    assert record["failed"].keys() == lost
    assert all("\x1b" not in reason and "luck" in reason for reason in record["failed"].values())
    without = lost | ({"grounding"} if lost & {"caption", "objects"} else set())
    assert {name for name in PARTS if record[name] is None} == without


def test_nothing_at_all_is_a_description_too(photo):
    record = Describer().describe(photo).as_dict()
    assert record["omitted"].keys() == set(PARTS) and record["width"] == 32


def test_the_query_is_given_or_taken_from_the_caption(tmp_path, photo):
    describer = toy_describer(tmp_path)
    assert describer.describe(photo, query="red").found.query == "red"
    describer.captioner = None
    describer.describe(photo)
    assert describer.source.source.queries == ["red", ""]


def test_a_source_that_reads_no_query_has_none_in_the_record(tmp_path, photo):
    describer = toy_describer(tmp_path)
    describer.source.source.reads_query = False
    assert describer.describe(photo).as_dict()["found"]["query"] == ""


def test_parts_run_at_the_same_time(photo):
    """Each part waits for the other: one after the other, neither would end."""
    meeting = threading.Barrier(2, timeout=20)

    class Captioner(SentenceCaptioner):
        def caption(self, images):
            meeting.wait()
            return super().caption(images)

    class Detector(FixedDetector):
        def detect(self, image, threshold=None):
            meeting.wait()
            return super().detect(image, threshold)

    assert not Describer(Captioner(), Detector()).describe(photo).failed


def test_the_threshold_is_passed_on(photo):
    assert len(Describer(detector=FixedDetector()).describe(photo, threshold=0.85).objects.objects) == 1


def test_an_image_that_cannot_be_read_is_an_error(tmp_path, photo):
    describer = toy_describer(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    torn = tmp_path / "torn.png"
    torn.write_bytes(photo.read_bytes()[:-60])
    for path in (tmp_path / "text.png", torn, tmp_path / "gone.png"):
        with pytest.raises(ImageError, match=path.name):
            describer.describe(path)


@pytest.mark.parametrize("top", [0, -1, 101])
def test_top_has_a_range(photo, top):
    with pytest.raises(ConfigError, match=str(top)):
        Describer().describe(photo, top=top)


def test_an_index_needs_vectors(tmp_path):
    with pytest.raises(ConfigError, match="index"):
        toy_describer(tmp_path, vectors=None)


def test_pixabay_is_asked_for_what_the_caption_names(tmp_path, photo):
    with image_server() as server:
        caches = DownloadCache(tmp_path / "answers"), DownloadCache(tmp_path / "images")
        source = Pixabay(KEY, 4, *caches, address=f"{server.address}/api/")
        one = toy_describer(tmp_path, source=source).describe(photo, top=4)
    assert [asked["q"] for asked in server.asked] == ["woman dogs"]
    assert one.found.query == "woman dogs" and one.found.look[0].visual > one.found.look[-1].visual
    assert all(image.credit and image.page.startswith("https://pixabay.com/") for image in one.found.look)
    assert KEY not in json.dumps(one.as_dict()) + page([(photo, one)], tmp_path)
