"""The large view, the panel beside the grid, export and retraining on the studio's page."""

import csv
import io

import pytest

from capsmith.core.errors import ConfigError
from tests.deploy.studio.page.window import paint, stored, studio_over
from tests.support.studio import OTHERS

WIDE = {"width": 1440, "height": 900}


def lit(window, root):
    """Returns the opacity of the veil over the picture of a panel: 1 where a word is shown."""
    return window.page.locator(f"{root} canvas").get_attribute("data-shown")


@pytest.fixture
def large(window):
    window.press("f")
    window.page.locator("#viewer .panel-other").first.wait_for()
    return window


def test_the_large_view_shows_picture_words_and_alternatives(large):
    view = large.page.locator("#viewer")
    assert view.locator(".panel-place").text_content() == "1 of 4"
    assert view.locator(".panel-facts").text_content() == "To doa.png · 60 × 40 · 30 % sure a word"
    assert view.locator(".panel-other span:first-of-type").all_text_contents() == list(OTHERS)
    assert view.locator("img").get_attribute("alt") == "a red picture"
    large.until(lambda: view.locator("img").get_attribute("src").endswith("/v1/studio/images/1/picture"))
    large.until(lambda: view.locator("img").evaluate("node => node.naturalWidth") == 60)


def test_words_light_where_the_model_looked(large):
    word = large.page.locator("#viewer .word").nth(1)
    assert lit(large, "#viewer") != "1"
    word.hover()
    large.until(lambda: lit(large, "#viewer") == "1")
    bright = """canvas => {
        const {width, height} = canvas, {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
        const veil = (x, y) => data[4 * (Math.floor(y * height) * width + Math.floor(x * width)) + 3];
        return [veil(1.5 / 9, 1.5 / 9), veil(0.9, 0.9)];
    }"""
    large.until(lambda: large.page.locator("#viewer canvas").get_attribute("data-settled") == "1")
    seen, dark = large.page.locator("#viewer canvas").evaluate(bright)
    assert seen < 60 < 120 < dark  # the second word looked at the second cell of the second row
    large.page.mouse.move(5, 5)
    large.until(lambda: lit(large, "#viewer") == "0")
    large.page.locator("#viewer .word").first.focus()
    large.until(lambda: lit(large, "#viewer") == "1")
    large.press("ArrowRight")
    assert large.page.evaluate("document.activeElement.textContent") == "red"
    assert large.page.locator("#viewer .panel-place").text_content() == "1 of 4"  # the arrow went to a word


def test_the_keys_work_in_the_large_view(large, folder):
    view = large.page.locator("#viewer")
    large.press("j")
    assert view.locator(".panel-place").text_content() == "2 of 4"
    large.press("k", "a")
    assert view.locator(".panel-place").text_content() == "2 of 4"
    large.press("Enter")
    assert view.locator("textarea").input_value() == "a green picture"
    large.write("written large")
    large.press("Enter")
    assert view.locator(".panel-place").text_content() == "3 of 4"
    large.press("4")
    large.until(lambda: view.locator(".panel-caption").text_content() == OTHERS[3])
    assert view.locator(".panel-proposal .words").text_content() == "a blue picture"
    assert view.locator(".panel-other[aria-pressed=true]").text_content().startswith("4")
    large.press("r")
    large.until(lambda: view.locator(".panel-caption").text_content() == "a blue picture")
    large.press("u", "Enter")
    large.write("thrown away")
    large.press("Escape")
    assert view.is_visible()
    large.press("Escape")
    assert not view.is_visible()
    large.until(lambda: large.focused == "c.png")
    large.saved()
    assert stored(folder) == {
        "a.png": ("a red picture", "accepted"),
        "b.png": ("written large", "edited"),
        "c.png": (OTHERS[3], "edited"),
        "d.png": ("a red picture", "proposed"),
    }


def test_the_buttons_of_the_panel_beside_the_grid(open_window, address, folder):
    window = open_window(address, viewport=WIDE)
    side = window.page.locator("#side")
    side.locator(".panel-other").first.wait_for()
    side.locator(".panel-other").nth(2).click()
    window.until(lambda: window.caption("a.png") == OTHERS[2])
    side.locator("[data-action=undo]").click()
    window.until(lambda: window.caption("a.png") == "a red picture")
    side.locator("[data-action=accept]").click()
    assert window.current == "b.png"
    side.locator("[data-action=edit]").click()
    window.write("by button")
    window.press("Shift+Enter")
    side.locator("[data-action=reset]").click()
    window.saved()
    assert stored(folder)["a.png"] == ("a red picture", "accepted")
    assert stored(folder)["b.png"] == ("a green picture", "proposed")


def test_a_picture_that_cannot_be_read(open_window, folder):
    (folder / "aa.png").write_bytes(b"\x89PNG but not really")
    with studio_over(folder) as address:
        window = open_window(address)
        window.go("aa.png")
        window.press("f")
        window.page.locator("#viewer .panel-missing").wait_for()
        assert window.page.text_content("#viewer .panel-missing") != ""
        window.press("a", "1", "Enter")
        window.write("I know what it was")
        window.press("Shift+Enter", "Escape")
        window.saved()
        assert stored(folder)["aa.png"] == ("I know what it was", "edited")
        window.press("u")
        window.saved()
        assert stored(folder)["aa.png"] == ("", "failed")


def test_export_writes_the_files_and_says_where(window, folder):
    (folder / "b.txt").write_text("mine")
    window.press("Enter")
    window.write('=SUM(A1) a "quoted", caption')
    window.press("Enter")
    window.saved()
    window.page.click("#export-open")
    window.until(
        lambda: window.page.text_content("#export-state") == "4 captions: 1 checked by you, 3 as the model proposed."
    )
    for form in ("jsonl", "txt"):
        window.page.check(f"[name=format][value={form}]")
    window.page.click("#export-start")
    lines = window.page.locator("#export-result li")
    lines.first.wait_for()
    assert {"captions.csv", "captions.jsonl", "b.txt"} <= set(lines.all_text_contents())
    assert (folder / "a.txt").read_text().strip() == '=SUM(A1) a "quoted", caption'
    assert (folder / "b.txt").read_text() == "mine"
    assert (folder / "captions.jsonl").is_file()
    with window.page.expect_download() as started:
        window.page.click("#export-download")
    table = list(csv.DictReader(io.StringIO(started.value.path().read_text("utf-8-sig"))))
    assert [row["image"] for row in table] == ["a.png", "b.png", "c.png", "d.png"]
    assert "SUM(A1)" in table[0]["caption"]


def test_export_without_a_format_is_refused(window):
    window.page.click("#export-open")
    window.page.uncheck("[name=format][value=csv]")
    window.page.click("#export-start")
    assert window.page.locator("#export-result .alert").is_visible()


class Training:
    """A training whose state the test sets."""

    def __init__(self):
        self.now = {"state": "none"}
        self.calls = []

    def start(self):
        self.calls.append("start")
        if len(self.calls) == 1:
            raise ConfigError("12 captions are corrected: at least 20 are needed")
        self.now = {"state": "running", "message": "epoch 1 of 6", "progress": 0.1}

    def stop(self):
        self.calls.append("stop")
        self.now = {"state": "stopped", "message": "stopped in epoch 3"}

    def status(self):
        return self.now


def test_correct_and_retrain(open_window, tmp_path):
    training = Training()
    with studio_over(paint(tmp_path / "photos"), retraining=training) as address:
        window = open_window(address)
        body = window.page.locator("#retrain-body")
        window.page.click("#retrain-open")
        assert body.locator(".button-main").is_disabled()  # nothing was corrected
        window.press("Escape")
        window.go("a.png")
        window.press("a", "1")
        window.saved()
        window.until(lambda: window.page.text_content("#count-edited") == "1")
        window.page.click("#retrain-open")
        assert body.locator(".plan li").count() == 4
        assert "old model is not changed" in body.text_content()
        body.locator(".button-main").click()
        body.locator(".alert").wait_for()
        assert "20 are needed" in body.locator(".alert").text_content()
        body.locator(".button-main").click()
        body.locator("progress").wait_for()
        training.now |= {"message": "epoch 3 of 6", "progress": 0.5}
        window.until(lambda: body.locator("progress").evaluate("node => node.value") == 0.5)
        assert body.locator(".retrain-message").text_content() == "50 % · epoch 3 of 6"
        assert window.page.text_content("#retrain-open") == "Retraining: 50 %"
        body.get_by_role("button", name="Stop").click()
        window.until(lambda: body.get_attribute("data-state") == "stopped")
        body.locator(".button-main").click()
        body.locator("progress").wait_for()
        window.press("Escape")
        scores = {"before": {"new": {"cider": 0.412}, "old": {"cider": 0.6}}}
        scores |= {"after": {"new": {"cider": 0.78}, "old": {"cider": 0.591}}}
        training.now = {"state": "done", "message": "", "progress": 1.0, "run": "/runs/it's new", **scores}
        window.page.locator("#notices .button").click()
        rows = body.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
        )
        assert rows == [["0.412", "0.780", "+0.368"], ["0.600", "0.591", "−0.009"]]
        assert "/runs/it's new" in body.text_content()
        assert "capsmith caption '/runs/it'\\''s new'" in body.locator("pre").text_content()
        assert "old model was not changed" in body.text_content()
        assert training.calls == ["start", "start", "stop", "start"]
        training.now = {"state": "failed", "message": "no space left on the device"}
        window.page.reload()
        window.ready()
        window.page.click("#retrain-open")
        window.until(lambda: body.get_attribute("data-state") == "failed")
        assert "no space left" in body.locator(".alert").text_content()


def test_a_retraining_without_scores_of_old_data(open_window, tmp_path):
    training = Training()
    before, after = ({"new": {"cider": cider, "images": 4}, "old": None} for cider in (0.5, 0.4))
    scores = {"before": before, "after": after}
    training.now = {"state": "done", "message": "", "progress": 1.0, "run": "/runs/one", **scores}
    with studio_over(paint(tmp_path / "photos"), retraining=training) as address:
        window = open_window(address)
        window.page.click("#retrain-open")
        window.until(lambda: window.page.locator("#retrain-body tbody tr").count() == 1)
        assert "not better" in window.page.text_content("#retrain-body .verdict")
        assert "4 images only" in window.page.text_content("#retrain-body .rough")
        assert "not measured" in window.page.text_content("#retrain-body")
