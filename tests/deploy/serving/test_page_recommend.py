"""The tab "Recommend" in a real browser: the caption of a colour, and a library that is changed in place."""

import csv
import io

import pytest

from tests.support.finding import CAPTIONS
from tests.support.finding_page import again, finding_server, recommended_of, visit_view
from tests.support.service import image_bytes, quick_app, served
from tests.support.service_page import DESKTOP, PHONE, SCHEMES, PageVisit

RED = {"name": "red.png", "mimeType": "image/png", "buffer": image_bytes((220, 30, 30))}


@pytest.fixture(scope="module")
def found(chromium, tmp_path_factory):
    with finding_server(tmp_path_factory.mktemp("recommend")) as address:
        yield address


@pytest.fixture(scope="module")
def _shared(chromium, found):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    visit = visit_view(context, found, "recommend")
    recommended_of(visit)
    yield visit
    context.close()


@pytest.fixture
def visit(_shared):
    """A tab that the tests of this module share: a red photograph, and the library of the server."""
    visit = again(_shared, "recommend")
    visit.page.fill("#library-filter", "")
    if visit.page.is_visible("#library-restore"):
        visit.page.click("#library-restore")
    visit.page.set_input_files("#recommend-file", RED)
    visit.page.wait_for_selector("#recommended[data-photo='red.png']:not([aria-busy])")
    first(visit, "Roses are red")
    return visit


def first(visit, caption):
    """Waits until a caption is the best one."""
    visit.page.wait_for_function(
        "caption => document.querySelector('#recommended .caption')?.textContent === caption", arg=caption
    )


def row(visit, caption):
    return visit.page.locator(f".entries .entry:has(input[value='{caption}'])")


def test_a_photograph_gets_the_captions_of_its_colour(visit):
    assert visit.page.locator("#recommended li").count() == len(CAPTIONS)
    bars = visit.page.eval_on_selector_all(
        ".similarity-bar", "all => all.map(bar => Number(bar.style.getPropertyValue('--part')))"
    )
    assert bars[0] == 1 and bars == sorted(bars, reverse=True) and bars[-1] == 0
    assert visit.page.inner_text("#recommended .number >> nth=0").endswith("1.000")
    assert visit.page.inner_text("#recommend-name") == "red.png"
    visit.page.click(".copy-recommended >> nth=0")
    visit.hear("Caption copied")
    assert visit.page.evaluate("navigator.clipboard.readText()") == "Roses are red"
    assert visit.problems == []


def test_an_example_and_a_theme(visit):
    visit.page.select_option("#recommend-theme", "cool")
    visit.page.wait_for_function("() => document.querySelectorAll('#recommended li').length === 2")
    assert set(recommended_of(visit)) == {"Out of the blue", "Touch green grass"}
    visit.page.select_option("#recommend-theme", "")
    visit.page.click("[data-recommend='rocket.jpg']")
    visit.page.wait_for_function("() => document.getElementById('recommend-name').textContent === 'rocket.jpg'")


def test_a_changed_library_is_used_at_once(visit):
    form = visit.page.locator("#library-add")
    form.locator("[name=caption]").fill("My own words")
    form.locator("[name=description]").fill("red red")
    form.locator("[name=theme]").fill("mine")
    form.locator("[name=theme]").press("Enter")
    visit.page.wait_for_function(
        "() => [...document.querySelectorAll('#recommended .caption')].some(one => one.textContent === 'My own words')"
    )
    assert "mine" in visit.page.locator("#recommend-theme option").all_inner_texts()
    row(visit, "Roses are red").locator(".remove-entry").click()
    first(visit, "My own words")
    row(visit, "My own words").locator("[data-name=description]").fill("blue")
    visit.page.wait_for_function("() => document.querySelector('#recommended .caption').textContent !== 'My own words'")
    visit.page.click("#library-restore")
    first(visit, "Roses are red")
    assert visit.page.is_hidden("#library-restore")
    assert visit.page.locator(".entries .entry").count() == len(CAPTIONS)


def test_captions_without_known_words_are_named(visit):
    form = visit.page.locator("#library-add")
    form.locator("[name=caption]").fill("Nobody knows")
    form.locator("[name=caption]").press("Enter")
    visit.page.wait_for_selector("#recommend-notes:not([hidden])")
    assert "Nobody knows" in visit.page.inner_text("#recommend-notes")


def test_a_library_is_exported_and_imported(visit, tmp_path):
    with visit.page.expect_download() as caught:
        visit.page.click("#library-export")
    caught.value.save_as(tmp_path / "library.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "library.csv").read_text())))
    assert [tuple(one.values()) for one in rows] == list(CAPTIONS)
    (tmp_path / "own.txt").write_text("# a comment\nA red letter day\n\nOnce in a blue moon\n")
    visit.page.set_input_files("#library-file", tmp_path / "own.txt")
    first(visit, "A red letter day")
    assert visit.page.locator(".entries .entry").count() == 2
    (tmp_path / "bad.csv").write_text("name,text\na,b\n")
    visit.page.set_input_files("#library-file", tmp_path / "bad.csv")
    visit.page.wait_for_function("() => document.getElementById('library-count').textContent.includes('caption”')")
    assert visit.page.locator(".entries .entry").count() == 2


def test_lines_are_filtered(visit):
    visit.page.fill("#library-filter", "blue")
    shown = visit.page.eval_on_selector_all(
        ".entries .entry:not([hidden]) [data-name=caption]", "all => all.map(i => i.value)"
    )
    assert shown == ["Out of the blue"]


FILES = [
    (
        'caption,theme\n"One, ""two""\nthree",sea\nfour,\n',
        "a.csv",
        [['One, "two" three', "", "sea"], ["four", "", ""]],
    ),
    ('\ufeff["one", {"caption": "two", "description": "d"}]', "a.json", [["one", "", ""], ["two", "d", ""]]),
    ('{"caption": "one"}\n"two"\n', "a.jsonl", [["one", "", ""], ["two", "", ""]]),
    ("caption\ttheme\none, two\tsea\n", "a.tsv", [["one, two", "", "sea"]]),
    ("one\r\n\r\n#tag stays\n", "a.txt", [["one", "", ""], ["#tag stays", "", ""]]),
]


def test_files_of_libraries_are_read(visit):
    rows = "const rows = (...file) => module.parseLibrary(...file).map(e => [e.caption, e.description, e.theme]);"
    read = f"{rows} return argument.map(([text, name]) => rows(text, name));"
    again = f"{rows} return argument.map(file => rows(module.libraryCsv(module.parseLibrary(...file)), 'b.csv'));"
    files = [[text, name] for text, name, _ in FILES]
    for body in (read, again):
        assert visit.module("library_file.js", body, files) == [entries for *_, entries in FILES]


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(visit, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    visit.page.set_viewport_size(size)
    visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visit.page.wait_for_timeout(50)
    found = axe.Axe().run(visit.page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:120]) for rule in found] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_without_a_library_a_link_explains(context, chromium):
    with served(quick_app()) as address:
        visit = PageVisit.begin(context, f"{address}/#recommend", example=False)
        visit.page.wait_for_selector("#recommend-missing:not([hidden])")
        assert "--recommend" in visit.page.inner_text("#recommend-missing") and visit.page.is_hidden(".library")
