"""The studio's page for everyone: axe finds nothing serious; screen readers, phones, dark mode, large text."""

import re

import pytest

from tests.deploy.studio.page.test_views import Training
from tests.deploy.studio.page.window import Window, paint, studio_over

PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1440, "height": 900}
SERIOUS = ("serious", "critical")


def faults(window):
    """Returns what axe-core finds that is serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = axe.Axe().run(window.page).response["violations"]
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found if one["impact"] in SERIOUS]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A studio whose images are in every state, and whose training is done."""
    folder = paint(tmp_path_factory.mktemp("mixed") / "photos", tuple(f"{number:02}.png" for number in range(12)))
    (folder / "zz.png").write_bytes(b"nothing")
    training = Training()
    scores = {name: {"new": {"cider": 0.4}, "old": {"cider": 0.6}} for name in ("before", "after")}
    training.now = {"state": "done", "message": "", "progress": 1.0, "run": "/runs/one", **scores}
    with studio_over(folder, retraining=training) as address:
        yield address


@pytest.fixture(scope="module", params=[(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")], ids=str)
def view(request, chromium, mixed):
    size, scheme = request.param
    touch = size is PHONE
    context = chromium.new_context(
        viewport=size, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", has_touch=touch, is_mobile=touch
    )  # axe runs as a script of the page, which its policy does not allow
    yield Window.open(context, mixed)
    context.close()


def test_axe_finds_nothing_serious(view):
    assert faults(view) == []
    view.press("a", "Enter")
    view.write("being written")
    assert faults(view) == []
    view.press("Enter")
    view.saved()
    for key in ("f", "?"):
        view.press(key)
        view.page.locator("dialog[open]").wait_for()
        assert faults(view) == []
        view.press("Escape")
    for button in ("#export-open", "#retrain-open"):
        view.page.click(button)
        view.page.locator("dialog[open]").wait_for()
        assert faults(view) == []
        view.press("Escape")
    view.page.fill("#words", "elephant")
    view.page.locator("#empty button").wait_for()
    assert faults(view) == []
    view.page.fill("#words", "")
    view.page.locator(".cell").first.wait_for()


def test_nothing_is_wider_than_the_window(view):
    assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    size = view.page.viewport_size
    columns = int(view.page.get_attribute("#grid", "aria-colcount"))
    assert columns == 1 if size == PHONE else columns >= 4
    assert view.page.locator("#side").is_visible() == (size == WIDE)


def test_dark_mode_is_dark(view):
    light = view.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 127")
    assert light == view.page.evaluate("matchMedia('(prefers-color-scheme: light)').matches")


def test_a_phone_without_keys(chromium, open_window, tmp_path):
    with studio_over(paint(tmp_path / "photos")) as address:
        context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
        window = open_window(address, context=context)
        window.cell("a.png").locator(".cell-accept").tap()
        window.cell("b.png").locator(".cell-caption").tap()
        window.write("typed with thumbs")
        window.press("Enter")
        window.saved()
        assert (window.status("a.png"), window.caption("b.png")) == ("accepted", "typed with thumbs")
        window.cell("c.png").locator(".cell-picture").tap()
        view = window.page.locator("#viewer")
        view.locator(".panel-other").first.tap()
        window.until(lambda: window.caption("c.png") == "a coloured picture")
        view.locator("[data-action=next]").tap()
        assert view.locator(".panel-place").text_content() == "4 of 4"
        view.locator("[data-action=close]").tap()
        assert not view.is_visible()
        small = """() => [...document.querySelectorAll("button, a:not(.skip-link), select, input:not([type=checkbox])")]
            .filter(one => one.checkVisibility({visibilityProperty: true}))
            .map(one => [one.id || one.className, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && Math.min(box.width, box.height) < 24).map(([name]) => name)"""
        assert window.page.evaluate(small) == []  # WCAG 2.2, 2.5.8
        context.close()


def test_a_screen_reader_hears_what_the_grid_is_and_what_happens(open_window, tmp_path):
    with studio_over(paint(tmp_path / "photos")) as address:
        window = open_window(address)
        grid = window.page.get_by_role("grid", name="Images and captions")
        assert grid.get_by_role("row").count() >= 1
        cell = window.page.get_by_role("gridcell", name="a red picture To do a.png")
        assert cell.get_attribute("tabindex") == "0"
        assert window.page.locator(".cell[tabindex='0']").count() == 1
        window.press("a")
        window.until(lambda: "Saved" in window.said)
        assert window.page.get_by_role("gridcell", name="a red picture Accepted a.png").count() == 1
        window.press("Enter")
        field = window.page.get_by_role("textbox", name="Caption of b.png")
        assert field.evaluate("node => node === document.activeElement")
        window.write(" ")
        window.press("Enter")
        assert window.page.get_by_role("alert").filter(has_text=re.compile("word")).count() == 1
        window.press("Escape", "End", "a", "a")
        window.page.wait_for_timeout(800)  # until the edits are saved, which is said too
        window.press("j")
        window.until(lambda: "last image" in window.said)


def test_tab_reaches_everything_and_the_focus_is_visible(open_window, tmp_path):
    with studio_over(paint(tmp_path / "photos")) as address:
        window = open_window(address)
        stops, rings = [], []
        for _ in range(24):
            window.press("Tab")
            name, ring = window.page.evaluate("""() => {
                const node = document.activeElement, style = getComputedStyle(node);
                const ring = style.outlineStyle !== "none" || style.boxShadow !== "none";
                return [node.id || node.dataset.filter || node.dataset.action || node.className, ring];
            }""")
            stops.append(name)
            rings.append(ring)
        for name in ("export-open", "retrain-open", "keys-open", "words", "all", "failed", "sort", "size", "image-1"):
            assert name in stops
        assert all(rings[: stops.index("image-1") + 1])
        window.page.locator("#words").focus()
        window.press("Escape")
        assert window.focused == "a.png"


def test_text_of_twice_the_size_fits(open_window, tmp_path):
    with studio_over(paint(tmp_path / "photos")) as address:
        window = open_window(address)
        window.page.evaluate("document.documentElement.style.fontSize = '200%'")
        window.page.set_viewport_size({"width": 1279, "height": 800})
        window.until(lambda: window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
        cut = "nodes => nodes.filter(node => node.scrollHeight > node.clientHeight + 1).length"
        assert window.page.locator(".cell-caption").evaluate_all(cut) == 0
