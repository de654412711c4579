"""The images that the studio's page shows: filters, orders, place kept, thousands of them."""

import time

import pytest

from capsmith.deploy.studio.project import project_folder
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.page.window import paint, propose, studio_over

MANY = 2000


@pytest.fixture
def varied(tmp_path):
    captions = {
        "a.png": {"caption": "a dog on a beach", "per_word": -0.5, "log_probability": -3.0},
        "b.png": {"caption": "two cats", "per_word": -2.0, "log_probability": -2.0},
        "beach/c.png": {"caption": "Straße bei Nacht", "per_word": -1.0, "log_probability": -4.0},
        "d.png": {"caption": "a dog and a cat", "per_word": -0.1, "log_probability": -1.0},
    }
    folder = propose(paint(tmp_path / "photos", tuple(captions)), captions)
    (folder / "broken.png").write_bytes(b"not an image")
    with studio_over(folder) as address:
        yield address


def shown(window, *names):
    window.until(lambda: window.names == list(names), lambda: window.names)


def test_filter_by_word_in_captions_and_names(open_window, varied):
    window = open_window(varied)
    shown(window, "a.png", "b.png", "beach/c.png", "broken.png", "d.png")
    window.press("/")
    window.page.keyboard.type("dog")
    shown(window, "a.png", "d.png")
    window.page.keyboard.type(" BEACH")
    shown(window, "a.png")
    window.page.fill("#words", "beach")
    shown(window, "a.png", "beach/c.png")
    window.page.fill("#words", "strasse")
    shown(window, "beach/c.png")
    window.reload()
    shown(window, "beach/c.png")
    assert window.page.input_value("#words") == "strasse"
    window.page.fill("#words", "elephant")
    window.page.locator("#empty").wait_for()
    window.page.click("#empty button")
    shown(window, "a.png", "b.png", "beach/c.png", "broken.png", "d.png")


def test_filter_by_status_and_order(open_window, varied):
    window = open_window(varied)
    window.page.select_option("#sort", "uncertain")
    shown(window, "b.png", "beach/c.png", "a.png", "d.png", "broken.png")
    window.page.select_option("#sort", "score")
    shown(window, "d.png", "b.png", "a.png", "beach/c.png", "broken.png")
    window.page.click("[data-filter=failed]")
    shown(window, "broken.png")
    assert window.status("broken.png") == "failed"
    assert window.cell("broken.png").locator(".cell-caption").text_content() != ""
    window.page.click("[data-filter=todo]")
    shown(window, "d.png", "b.png", "a.png", "beach/c.png")
    assert "filter=todo" in window.page.url and "sort=score" in window.page.url


def test_an_accepted_image_keeps_its_place_until_the_next_query(open_window, varied):
    window = open_window(varied, "?filter=todo")
    shown(window, "a.png", "b.png", "beach/c.png", "d.png")
    window.press("a", "a")
    window.saved()
    assert window.current == "beach/c.png"
    assert window.names == ["a.png", "b.png", "beach/c.png", "d.png"]
    window.until(lambda: window.page.text_content("#count-accepted") == "2")
    assert window.page.text_content("#checked") == "2 of 5 checked"
    assert window.page.get_attribute("#checked-bar", "value") == "2"
    window.page.click("[data-filter=accepted]")
    shown(window, "a.png", "b.png")
    window.page.click("[data-filter=todo]")
    shown(window, "beach/c.png", "d.png")


def test_the_words_of_which_the_model_was_unsure_are_marked(open_window, tmp_path):
    details = {"words": ["a", "dog", "on", "ice"], "probabilities": [0.9, 0.1, 0.39, 0.41], "alternatives": []}
    folder = propose(paint(tmp_path / "photos", ("a.png",)), {"a.png": {"caption": "a dog on ice", "details": details}})
    with studio_over(folder) as address:
        window = open_window(address)
        marked = window.page.eval_on_selector_all(
            ".cell .unsure", "all => all.map(one => [one.textContent, one.className])"
        )
        assert marked == [["dog", "unsure very"], ["on", "unsure"]]
        window.press("Enter")
        window.write("a dog on a lake")
        window.press("Shift+Enter")
        assert window.page.locator(".cell .unsure").count() == 0  # the words are a person's


def test_captions_appear_while_the_folder_is_captioned(open_window, tmp_path):
    from tests.support.studio import StudioCaptioner

    captioner = StudioCaptioner()
    captioner.gate.clear()
    with studio_over(paint(tmp_path / "photos"), captioner=captioner) as address:
        window = open_window(address, captioned=False)
        assert window.status("a.png") == "pending"
        assert window.page.locator("#captioning").is_visible()
        assert window.page.text_content("#captioned").endswith("0 of 4")
        window.press("j", "Enter")
        window.write("not waiting for the model")
        window.press("Enter")
        window.saved()
        captioner.gate.set()
        window.until(lambda: window.status("a.png") == "proposed")
        assert window.caption("a.png") == "a red picture"
        assert window.caption("b.png") == "not waiting for the model"
        window.until(lambda: not window.page.locator("#captioning").is_visible())


def test_undo_reaches_images_that_the_filter_hides(open_window, varied):
    window = open_window(varied, "?filter=todo")
    for text in ("first", "second"):
        window.press("Enter")
        window.write(text)
        window.press("Shift+Enter")
    window.saved()
    window.page.click("[data-filter=accepted]")
    window.page.locator("#empty").wait_for()
    window.press("u")
    window.until(lambda: "Saved" in window.said)
    window.press("u")
    window.until(lambda: window.page.text_content("#count-edited") == "0")
    window.page.click("[data-filter=all]")
    window.until(lambda: window.names and window.status("a.png") == "proposed")
    window.saved()


def test_edits_of_another_window_appear(open_window, varied):
    window, other = open_window(varied), open_window(varied)
    other.press("Enter")
    other.write("written over there")
    other.press("Enter")
    other.saved()
    window.until(lambda: window.caption("a.png") == "written over there")
    window.press("Enter")
    window.write("and over here")
    window.press("Enter")
    window.saved()


def test_new_images_of_the_folder_are_found(open_window, tmp_path):
    folder = paint(tmp_path / "photos", ("a.png", "c.png"))
    with studio_over(folder) as address:
        window = open_window(address)
        window.go("c.png")
        paint(folder, ("a.png", "b.png"))
        window.page.click("#scan")
        shown(window, "a.png", "b.png", "c.png")
        window.until(lambda: window.status("b.png") == "proposed")
        assert window.caption("b.png") == "a green picture"
        assert window.current == "c.png"
        assert "1 new image" in window.page.text_content("#notices")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder of 2,000 images that are all captioned."""
    folder = paint(tmp_path_factory.mktemp("many") / "photos", ("0000.png",))
    one = (folder / "0000.png").read_bytes()
    names = [f"{number:04}.png" for number in range(MANY)]
    for name in names[1:]:
        (folder / name).write_bytes(one)
    propose(folder, {name: f"a caption with the number {name[:4]}" for name in names})
    with studio_over(folder) as address:
        yield folder, address


def test_two_thousand_images_stay_quick(open_window, many):
    _, address = many
    began = time.monotonic()
    window = open_window(address)
    assert time.monotonic() - began < 6
    window.until(lambda: window.page.text_content("#found") == "2,000 images found")
    assert window.page.get_attribute("#grid", "aria-rowcount") == str(-(-MANY // columns(window)))
    assert window.page.locator(".cell").count() < 80
    times = window.page.evaluate("""async () => {
        const times = [];
        for (let press = 0; press < 60; press++) {
            const began = performance.now();
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "j", code: "KeyJ", bubbles: true}));
            times.push(performance.now() - began);
            await new Promise(requestAnimationFrame);
        }
        return times.sort((a, b) => a - b);
    }""")
    assert window.current == "0060.png"
    assert times[30] < 50  # milliseconds a key takes, on a machine that does other things, too
    window.press("End")
    assert window.current == window.focused == "1999.png"
    assert window.cell("1999.png").locator(".cell-caption").is_visible()
    assert window.page.locator(".cell").count() < 80
    window.until(lambda: window.cell("1999.png").locator("img").evaluate("node => node.naturalWidth > 0"))
    asked = [url for url in window.requests if url.endswith("/thumbnail")]
    assert len(asked) < 300  # pictures that were only scrolled past are not loaded


def columns(window):
    return int(window.page.get_attribute("#grid", "aria-colcount"))


def test_the_place_is_kept_over_a_reload(open_window, many):
    window = open_window(many[1])
    window.press("End", *["PageUp"] * 3)
    name, scroll = window.current, window.page.evaluate("scrollY")
    window.page.select_option("#size", "small")
    window.until(lambda: window.cell(name).is_visible())
    window.page.select_option("#size", "medium")
    window.reload()
    window.until(lambda: window.current == name)
    assert abs(window.page.evaluate("scrollY") - scroll) < 800
    assert window.cell(name).is_visible()


def test_a_row_says_where_it_is(open_window, many):
    window = open_window(many[1])
    window.press("End")
    row = window.page.locator(".row", has=window.page.locator(".cell[aria-selected=true]"))
    assert row.get_attribute("aria-rowindex") == window.page.get_attribute("#grid", "aria-rowcount")
    order = window.page.eval_on_selector_all(".row", "all => all.map(row => Number(row.getAttribute('aria-rowindex')))")
    assert order == sorted(order)


def test_unfinished_text_survives_scrolling_away(open_window, many):
    folder, address = many
    window = open_window(address)
    window.press("Enter")
    window.write("in the middle of")
    window.page.evaluate("scrollTo(0, 40000)")
    window.page.wait_for_timeout(300)
    window.page.keyboard.type(" a word")
    window.press("Shift+Enter")
    window.saved()
    assert window.current == "0000.png"
    with Store.read(project_folder(folder, None)) as store:
        assert store.images(limit=1).images[0].caption == "in the middle of a word"


def test_a_folder_without_images(open_window, tmp_path):
    folder = paint(tmp_path / "photos", ("a.png",))
    with studio_over(folder) as address:
        window = open_window(address, "?q=nothing+like+this")
        assert window.page.locator("#empty").is_visible()
        assert not window.page.locator("#grid").is_visible()
        window.press("j", "a", "Enter", "f", "1", "r", "u")  # nothing happens, and nothing breaks
        assert window.page.locator("dialog[open], textarea.editor").count() == 0
