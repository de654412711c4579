"""The tab "Search" in a real browser: phrases and photographs find colours, and results are the next queries."""

import threading

import pytest
from PIL import Image

from tests.support.finding_page import again, finding_server, hits_of, visit_view
from tests.support.service import image_bytes, quick_app, served
from tests.support.service_page import DESKTOP, PHONE, SCHEMES, PageVisit
from tests.support.toy_embedder import COLOURS

BLUE = {"name": "sea.png", "mimeType": "image/png", "buffer": image_bytes((30, 40, 220))}


@pytest.fixture(scope="module")
def found(chromium, tmp_path_factory):
    with finding_server(tmp_path_factory.mktemp("search")) as address:
        yield address


@pytest.fixture(scope="module")
def _shared(chromium, found):
    context = chromium.new_context()
    yield visit_view(context, found, "search")
    context.close()


@pytest.fixture
def visit(_shared):
    """A tab that the tests of this module share, without a query."""
    return again(_shared, "search")


def ask(visit, text):
    visit.page.fill("#query", text)
    visit.page.press("#query", "Enter")
    visit.page.wait_for_function("text => location.hash.includes(new URLSearchParams({text}).toString())", arg=text)
    return hits_of(visit)


def test_a_phrase_finds_its_colour_and_the_address_says_so(visit):
    visit.page.click("#views a[data-to=caption]")
    visit.page.click("#views a[data-to=search]")
    for colour in ("green", "a blue one"):
        names = ask(visit, colour)
        assert {name.split("-")[0] for name in names[:2]} == {colour.split()[-2 if " " in colour else 0]}
    assert "a, one" in visit.page.inner_text("#found")
    thumbnails = visit.page.eval_on_selector_all(".hit img", "all => all.map(image => image.naturalWidth)")
    assert min(thumbnails[:4]) > 0
    assert visit.problems == []


def test_a_link_shows_its_results_and_back_returns(context, found):
    visit = visit_view(context, found, "search?text=yellow")
    assert {name.split("-")[0] for name in hits_of(visit)[:2]} == {"yellow"}
    assert visit.page.input_value("#query") == "yellow"
    visit.page.locator(".hit").first.click()
    visit.page.wait_for_selector("#asked:not([hidden]) img")
    assert {name.split("-")[0] for name in hits_of(visit)[:1]} == {"yellow"}
    assert "look" in visit.page.locator(".hit-scores").first.inner_text()
    assert "meaning" in visit.page.locator(".hit-scores").first.inner_text()
    visit.page.go_back()
    visit.page.wait_for_selector("#asked", state="hidden")
    assert visit.page.input_value("#query") == "yellow"
    assert len(hits_of(visit)) == 2 * len(COLOURS)


def test_a_photograph_is_a_query_that_can_be_left(visit):
    visit.page.set_input_files("#query-image", BLUE)
    visit.page.wait_for_selector("#asked:not([hidden])")
    assert {name.split("-")[0] for name in hits_of(visit)[:2]} == {"blue"}
    assert "sea.png" in visit.page.inner_text("#asked")
    visit.page.check("[name=by][value=semantic]")
    visit.page.wait_for_function("() => location.hash.includes('by=semantic')")
    assert {name.split("-")[0] for name in hits_of(visit)[:2]} == {"blue"}
    visit.page.click("#asked button")
    visit.page.wait_for_selector("#asked", state="hidden")
    assert visit.page.locator(".hit").count() == 0


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_photograph_is_brought(visit, kind):
    from tests.deploy.serving.test_page import BRING

    visit.page.evaluate(BRING, [kind, "sea.png", list(BLUE["buffer"])])
    assert {name.split("-")[0] for name in hits_of(visit)[:2]} == {"blue"}


def test_the_slider_filters_without_a_request(visit):
    assert len(ask(visit, "red")) == 2 * len(COLOURS)
    visit.requests.clear()
    visit.page.locator("#threshold").evaluate(
        "slider => { slider.value = 0.9; slider.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    assert {name.split(".")[0] for name in hits_of(visit)} == {"copy of red", "red-1"}
    assert visit.page.inner_text("#threshold-value") == "0.90" and "2 of 12" in visit.page.inner_text("#found")
    assert [url for url in visit.requests if "/v1/search" in url] == []


def test_copies_are_folded_with_a_count(visit):
    ask(visit, "red")
    copies = visit.page.locator("[data-name='copy of red.png'] .hit-copies")
    assert copies.inner_text() == "+ 1"


def test_the_keyboard_moves_in_the_grid_and_chooses(visit):
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("white")
    visit.page.keyboard.press("Enter")
    names = hits_of(visit)
    visit.page.focus(".hit >> nth=0")
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.evaluate("document.activeElement.dataset.name") == names[1]
    assert visit.page.locator(".hit[tabindex='0']").count() == 1
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("() => location.hash.includes('like=')")


def test_nothing_is_found_is_said_and_so_is_what_is_wrong(visit):
    visit.page.goto(visit.page.url.split("#")[0] + "#search?like=99999")
    visit.page.wait_for_function("() => document.getElementById('found').textContent.includes('no image')")
    visit.page.goto(visit.page.url.split("#")[0] + "#search?image=7")
    visit.page.wait_for_function("() => document.getElementById('found').textContent.includes('Choose it again')")


def test_new_photographs_are_looked_for(chromium, context, tmp_path):
    gate = threading.Event()

    def scan(told):
        told(1, 4)
        assert gate.wait(20)
        return {"total": 14, "new": 1, "unchanged": 13}

    with finding_server(tmp_path, scan=scan) as address:
        visit = visit_view(context, address, "search?text=red")
        hits_of(visit)
        visit.page.click("#refresh")
        visit.page.wait_for_function("() => document.getElementById('refresh-progress').value === 0.25")
        assert visit.page.is_disabled("#refresh")
        gate.set()
        visit.page.wait_for_function("() => document.getElementById('index-about').textContent.includes('1 new')")
        assert visit.page.is_enabled("#refresh") and visit.page.is_hidden("#refresh-progress")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(visit, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit.page.set_viewport_size(size)
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    ask(visit, "red")
    visit.page.locator(".hit").first.click()
    visit.page.wait_for_selector("#asked:not([hidden])")
    hits_of(visit)
    found = axe.Axe().run(visit.page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_without_an_index_there_are_no_tabs_and_a_link_explains(context, chromium):
    with served(quick_app()) as address:
        visit = PageVisit.begin(context, address)
        assert visit.page.is_hidden("#views")
        visit.page.goto(f"{address}/#search?text=red")
        assert "--search" in visit.page.inner_text("#search-missing") and visit.page.is_hidden("#search-form")


def test_names_of_files_are_never_markup(context, chromium, tmp_path):
    evil = "<img src=x onerror=alert(1)>.png"
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (20, 20), (30, 40, 220)).save(tmp_path / "photos" / evil)
    with finding_server(tmp_path) as address:
        visit = visit_view(context, address, "search?text=blue")
        assert evil in hits_of(visit)
        assert visit.page.locator("img[src='x']").count() == 0 and visit.problems == []
