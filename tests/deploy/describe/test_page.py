"""The page: escaping, self-containment, images that are gone; in Chromium, a word draws its boxes."""

import re
from html.parser import HTMLParser

import pytest

from capsmith.core.outputs import is_page
from capsmith.deploy.describe.page import page, write_page
from capsmith.deploy.describe.parts import SourceImage
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
from capsmith.vision.detection.detector import Detection
from tests.support.describing import Broken, FixedDetector, FolderSource, SentenceCaptioner, toy_describer, toy_parts
from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import picture

HOSTILE = "a dog <script>alert(1)</script> \"onload='x'\" </style><img src=x onerror=y> & {{ 7 * 7 }}"


class Tags(HTMLParser):
    """Collects the elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture
def photo(tmp_path):
    picture("red", seed=77).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def make(tmp_path, photo, **parts):
    return page([(photo, toy_describer(tmp_path, **parts).describe(photo, top=3))], tmp_path)


def test_all_parts_are_on_the_page(tmp_path, photo):
    tags = Tags(make(tmp_path, photo))
    buttons = [one["class"] for one in tags.all("button")]
    assert sum("confirmed" in one.split() for one in buttons) == 2
    assert sum("unconfirmed" in one.split() for one in buttons) == 1
    for text in ("photo.png", "red thing", "by red", "photos.index", "frisbee"):
        assert text in tags.text
    assert len(tags.all("img")) == 1 + 4 * 3
    described = {one["id"] for _, one in tags.found if "id" in one}
    assert {one["aria-describedby"] for one in tags.all("button") if "aria-describedby" in one} <= described
    assert all(one["alt"] for one in tags.all("img"))


def test_nothing_outside_is_asked_for_and_nothing_runs(tmp_path, photo):
    tags = Tags(make(tmp_path, photo))
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in tags.all("img"))
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "link", "iframe", "object", "form", "base"}
    (policy,) = (one["content"] for one in tags.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src" not in policy


def test_hostile_names_and_captions_are_text(tmp_path, photo):
    class Hostile(FolderSource):
        name = HOSTILE

        def images(self, query):
            path = next(super().images(query)).path
            yield SourceImage(path, HOSTILE, "javascript:alert(1)", HOSTILE)

    evil = tmp_path / "<img src=x onerror=alert(1)>\x1b[31m\u202e.png"
    evil.write_bytes(photo.read_bytes())
    recommender = Recommender(ToyEmbedder(), Library.of([HOSTILE], ["red"], [HOSTILE]))
    parts = {**toy_parts(tmp_path), "source": Hostile(tmp_path / "photos"), "recommender": recommender}
    describer = toy_describer(
        tmp_path / "again",
        **parts
        | {
            "captioner": SentenceCaptioner(HOSTILE),
            "detector": FixedDetector([Detection(HOSTILE, 0.9, (0, 0, 9, 9)), Detection("dog", 0.9, (0, 0, 9, 9))]),
            "index": Broken(HOSTILE),
        },
    )
    clean, text = make(tmp_path / "clean", photo), page([(evil, describer.describe(evil, top=3))], tmp_path)
    tags = Tags(text)
    assert {tag for tag, _ in tags.found} <= {tag for tag, _ in Tags(clean).found}
    attributes = {name for _, one in tags.found for name in one}
    assert not [name for name in attributes if name.startswith("on")]
    assert all("javascript" not in one.get("href", "") for one in tags.all("a"))
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    assert "script" not in style and "49" not in tags.text
    assert tags.text.count("alert(1)") >= 5 and "\x1b" not in text and "\u202e" not in text


def test_an_image_that_is_gone_is_said(tmp_path, photo):
    describer = toy_describer(tmp_path)
    one = describer.describe(photo, top=2)
    photo.unlink()
    for path in (tmp_path / "photos").rglob("*.png"):
        path.unlink()
    assert not Tags(page([(photo, one)], tmp_path)).all("img")


def test_several_images_and_empty_descriptions(tmp_path, photo):
    empty = toy_describer(
        tmp_path, captioner=None, detector=None, index=None, recommender=None, source=None, vectors=None
    ).describe(photo)
    nothing = toy_describer(tmp_path / "other", detector=FixedDetector(())).describe(photo)
    write_page([(photo, empty), (photo, nothing)], tmp_path / "out.html")
    assert is_page(tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text()
    assert len(Tags(text).all("article")) == 2 and Tags(text).all("h1") != []
    ids = [one["id"] for _, one in Tags(text).found if "id" in one]
    assert len(ids) == len(set(ids))


def test_a_word_draws_its_boxes(tmp_path, photo, chromium):
    write_page([(photo, toy_describer(tmp_path).describe(photo))], tmp_path / "out.html")
    context = chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    tab = context.new_page()
    asked, problems = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: problems.append(message.text))
    tab.goto((tmp_path / "out.html").as_uri())

    def drawn():
        boxes = "all => all.filter(box => getComputedStyle(box).opacity === '1').map(box => box.textContent).sort()"
        return tab.eval_on_selector_all(".box", boxes)

    assert drawn() == []
    tab.locator("button.word", has_text="dogs").hover()
    assert drawn() == ["dog 0.70", "dog 0.90"]
    tab.locator("button.word", has_text="frisbee").hover()
    assert drawn() == []
    tab.mouse.move(0, 0)
    tab.keyboard.press("Tab")  # the first word
    assert drawn() == ["person 0.80"]
    left = tab.locator(".picture img").bounding_box()
    box = tab.locator(".box.b1").bounding_box()
    assert box["x"] - left["x"] == pytest.approx(left["width"] / 2, abs=2)
    assert box["height"] == pytest.approx(left["height"] * 0.75, abs=2)
    tab.locator(".show-all").check()
    assert len(drawn()) == 4
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert [one for one in asked if not one.startswith(("data:", "file:"))] == [] and problems == []
    context.close()
