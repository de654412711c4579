"""A report and a data set's page in a browser: nothing in captions, ids or names runs, and everybody can read them."""

import csv
import shutil

import pytest
from PIL import Image

from capsmith.cli import main
from capsmith.evaluation.report import write_report

EVIL = "<img src=x onerror=document.title='run'><script>document.title='run'</script>\"'&{{ 7*7 }}"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def report(folder):
    examples = []
    for number in range(3):
        Image.new("RGB", (60, 40), (90 * number, 40, 90)).save(folder / f"{number}.png")
        examples.append(
            {
                "image_path": folder / f"{number}.png",
                "image_id": f"{number}{EVIL}",
                "prediction": EVIL,
                "references": [EVIL, "رجل على حصان"],
                "score": number / 2,
            }
        )
    examples[0]["image_path"] = folder / "gone.png"
    scores = [{"name": EVIL, "value": 0.2, "interval": (0.1, 0.3), "control": 0.1, "signature": EVIL * 5}]
    given = {"title": EVIL, "scores": scores, "examples": examples, "score_name": EVIL, "notes": [EVIL]}
    return write_report(folder / "report", **given), 2


def dataset(folder):
    """A page with variants, duplicates and problems. A caption's key, a file and an id contain HTML."""
    name = "<b onclick=x>{}.png"
    (folder / "mine").mkdir()
    with (folder / "mine" / "c.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption", "split"])
        for number in range(8):
            image = Image.effect_mandelbrot((60, 40), (-2 - number, -1.5, 1 + number, 1.5), 90).convert("RGB")
            image.save(folder / "mine" / name.format(number))
            rows.writerow([name.format(number), f"a left {EVIL} {number}", "train" if number < 6 else "dev"])
        rows.writerow([name.format("gone"), EVIL, "train"])
    shutil.copy(folder / "mine" / name.format(0), folder / "mine" / name.format(7))
    assert main(["init", "mine"]) == 0
    assert main(["inspect", "--config", "mine.yaml", "--augment"]) == 0
    return folder / "inspect" / "mine" / "index.html", 8


@pytest.mark.parametrize("make", [report, dataset])
def test_hostile_text_is_shown_and_never_run(make, browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, images = make(tmp_path)
    messages = []
    for scheme, width in (("light", 1200), ("dark", 360)):
        tab = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        tab.on("console", lambda message: messages.append(message.text))
        tab.goto(page.as_uri())
        for image in tab.query_selector_all("img"):
            image.scroll_into_view_if_needed()
            image.evaluate("image => image.decode()")
        assert len(tab.query_selector_all("img")) >= images
        assert tab.evaluate("document.querySelectorAll('script, b[onclick], [onerror]').length") == 0
        assert "run" != tab.title() and EVIL in tab.inner_text("body") and "49" not in tab.inner_text("body")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        axe = pytest.importorskip("axe_playwright_python.sync_playwright")
        assert [found["id"] for found in axe.Axe().run(tab).response["violations"]] == []
        tab.close()
    assert messages == []
