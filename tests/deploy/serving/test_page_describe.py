"""The tab "Describe" in a real browser: nouns that draw boxes, objects, fitting captions, similar photographs."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from capsmith.deploy.serving.describing.detecting import ServedDetector
from tests.support.finding import colour_photos, finding_app
from tests.support.finding_page import again, visit_view
from tests.support.service import quick_app, served
from tests.support.service_page import DESKTOP, PHONE, SCHEMES, PageVisit
from tests.support.toy_detector import ToyDetector


def scene():
    """Returns a PNG of 60 × 40 pixels: grey, with a red rectangle, and a small blue one."""
    pixels = np.full((40, 60, 3), 128, np.uint8)
    pixels[5:25, 10:50] = (220, 30, 30)
    pixels[30:36, 4:12] = (30, 40, 220)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


SCENE = {"name": "scene.png", "mimeType": "image/png", "buffer": scene()}


def described_app(folder, names=None):
    app = finding_app(colour_photos(folder / "photos"), folder / "photos.index")
    app.state.service.models.embeddings.detector = ServedDetector(ToyDetector(names))
    return app


@pytest.fixture(scope="module")
def found(chromium, tmp_path_factory):
    with served(described_app(tmp_path_factory.mktemp("describe"), {"red": "picture"})) as address:
        yield address


@pytest.fixture(scope="module")
def _shared(chromium, found):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield visit_view(context, found, "describe")
    context.close()


@pytest.fixture
def visit(_shared):
    """A tab that the tests of this module share, with the scene described."""
    visit = again(_shared, "describe")
    visit.page.mouse.move(0, 0)
    visit.page.evaluate("document.activeElement.blur()")
    return describe(visit, SCENE)


def describe(visit, file):
    visit.page.evaluate("delete document.getElementById('described').dataset.photo")
    visit.page.set_input_files("#describe-file", file)
    visit.page.wait_for_selector(f"#described[data-photo='{file['name']}']:not([aria-busy])")
    return visit


def drawn(visit):
    visit.page.wait_for_function("() => document.getAnimations().every(one => one.playState === 'finished')")
    boxes = "all => all.filter(box => getComputedStyle(box).opacity === '1').map(box => box.textContent)"
    return visit.page.eval_on_selector_all("#describe-boxes .box", boxes)


def test_a_noun_draws_its_box_while_it_is_pointed_at_or_focused(visit):
    assert drawn(visit) == []
    noun = visit.page.locator(".noun", has_text="picture")
    noun.hover()
    assert drawn(visit) == ["picture 1.00"]
    picture = visit.page.locator("#describe-image").bounding_box()
    box = visit.page.locator("#describe-boxes .drawn").bounding_box()
    assert box["x"] - picture["x"] == pytest.approx(picture["width"] * 10 / 60, abs=1.5)
    assert box["y"] - picture["y"] == pytest.approx(picture["height"] * 5 / 40, abs=1.5)
    assert box["width"] == pytest.approx(picture["width"] * 40 / 60, abs=1.5)
    assert box["height"] == pytest.approx(picture["height"] * 20 / 40, abs=1.5)
    visit.page.mouse.move(0, 0)
    assert drawn(visit) == []
    noun.focus()
    assert drawn(visit) == ["picture 1.00"]
    visit.page.keyboard.press("Tab")  # the first object, which is the blue one
    assert drawn(visit) == ["blue 1.00"]
    visit.page.check(".described-objects input")
    assert len(drawn(visit)) == 2
    assert visit.problems == []


def test_marks_are_said_not_only_coloured(visit):
    noun = visit.page.locator(".noun.confirmed")
    assert noun.count() == 1 and noun.locator("svg").count() == 1
    verdict = visit.page.locator(f"#{noun.get_attribute('aria-describedby')}")
    assert "picture" in verdict.inner_text() and "confirmed" in verdict.inner_text()
    assert "blue" in visit.page.inner_text(".verdicts .more")


def test_captions_that_fit_are_copied(visit):
    assert visit.page.inner_text(".described-captions li p >> nth=0") == "Roses are red"
    visit.page.click(".described-captions button >> nth=0")
    visit.hear("Caption copied")
    assert visit.page.evaluate("navigator.clipboard.readText()") == "Roses are red"


def test_a_similar_photograph_is_the_next_search(visit):
    lists = visit.page.locator("#describe-similar .hits")
    assert lists.count() == 2
    first = lists.nth(1).locator(".hit").first
    assert "look" in first.get_attribute("aria-label")
    name = first.get_attribute("data-name")
    visit.page.wait_for_function("() => document.querySelector('#describe-similar img').naturalWidth > 0")
    first.click()
    visit.page.wait_for_selector("#asked:not([hidden]) img")
    assert "#search?like=" in visit.page.url and name
    visit.page.go_back()
    visit.page.wait_for_selector("#describe-picture:not([hidden])")


def test_an_example_a_file_that_is_none_and_places_of_nouns(visit):
    visit.page.evaluate("delete document.getElementById('described').dataset.photo")
    visit.page.click("[data-describe='bear.jpg']")
    visit.page.wait_for_selector("#described[data-photo='bear.jpg']:not([aria-busy])")
    visit.page.set_input_files("#describe-file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
    visit.page.wait_for_function("() => document.getElementById('describe-state').textContent !== 'Looking …'")
    assert visit.page.inner_text("#describe-state") and visit.page.locator(".noun").count() == 0
    words = [{"start": 2, "end": 5}]
    assert visit.module("described.js", "return module.pieces(...argument);", ["😀 dog", words]) == ["😀 ", 0]
    assert visit.module("described.js", "return module.pieces(...argument);", ["dog", []]) == ["dog"]


def test_names_and_labels_are_never_markup(context, chromium, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    with served(described_app(tmp_path, {"red": evil})) as address:
        visit = describe(visit_view(context, address, "describe"), {**SCENE, "name": "x.png"})
        assert evil in visit.page.inner_text(".described-objects") and evil in visit.page.inner_text("#describe-boxes")
        assert visit.page.locator("img[src='x']").count() == 0 and visit.problems == []


def test_a_detector_alone_is_enough(context, chromium):
    app = quick_app()
    app.state.service.models.embeddings.detector = ServedDetector(ToyDetector())
    with served(app) as address:
        visit = describe(visit_view(context, address, "describe"), SCENE)
        assert visit.page.locator(".described-objects").count() == 1
        assert visit.page.locator(".described-captions, #describe-similar section").count() == 0


def test_a_service_of_captions_only_explains_the_view(context, chromium):
    with served(quick_app()) as address:
        visit = PageVisit.begin(context, address)
        assert visit.page.is_hidden("#views")
        visit.page.goto(f"{address}/#describe")
        visit.page.wait_for_selector("#describe-missing:not([hidden])")
        assert "--detector" in visit.page.inner_text("#describe-missing")
        assert visit.page.is_hidden("#described") and visit.page.is_hidden("[data-describe]")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(visit, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit.page.set_viewport_size(size)
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found = axe.Axe().run(visit.page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_answer_has_what_the_page_shows(chromium, visit):
    with visit.page.expect_response("**/v1/descriptions") as waiting:
        visit.page.set_input_files("#describe-file", SCENE)
    (result,) = json.loads(waiting.value.body())["results"]
    assert visit.page.inner_text("#describe-parts .caption-large").strip() == result["caption"]
