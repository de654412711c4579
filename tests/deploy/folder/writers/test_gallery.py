import base64
import io
import os
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image

from capsmith.core.errors import ConfigError
from capsmith.deploy.folder.writers import gallery
from capsmith.models.caption import Caption
from tests.support.fake_captioner import FakeCaptioner, caption_into, make_images


class Page(HTMLParser):
    """Collects links, images and texts."""

    def __init__(self, content):
        super().__init__()
        self.links, self.images, self.tags, self.texts = [], [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)

    def handle_data(self, data):
        self.texts.append(data.strip())


def page(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def test_every_image_has_its_alternative_text_and_links_to_the_file(photos):
    captions = make_images(photos, 5)
    caption_into([photos], "html")
    found = page(photos / "captions.html")
    assert [image["alt"] for image in found.images] == list(captions.values())
    assert found.links == list(captions)
    for image, caption in zip(found.images, captions.values(), strict=True):
        data = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(data)) as small:
            assert (str(small.width), str(small.height)) == (image["width"], image["height"])
            assert all(abs(a - int(b)) < 8 for a, b in zip(small.getpixel((4, 4)), caption.split()[1:], strict=True))


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(photos):
    make_images(photos, 2)
    caption_into([photos], "html")
    content = (photos / "captions.html").read_text()
    assert not re.search(r"https?:|<script|<link|@import|url\(", content)
    assert "default-src 'none'" in content


def test_captions_and_names_are_escaped(photos, monkeypatch):
    make_images(photos, 1)
    hostile = '"><script>alert(1)</script>'
    shutil.copy(photos / "0000.png", photos / '"><img src=x>.png')
    shutil.copy(photos / "0000.png", photos / os.fsdecode(b"javascript:caf\xe9 #1?.png"))
    monkeypatch.setattr(FakeCaptioner, "caption_features", lambda self, f, d=None: [Caption(hostile, 0, 0) for _ in f])
    caption_into([photos], "html")
    found = page(photos / "captions.html")
    assert "script" not in found.tags and [image["alt"] for image in found.images] == [hostile] * 3
    names = {os.fsencode(path.name) for path in photos.glob("*.png")}
    assert {unquote_to_bytes(link) for link in found.links} == names
    assert all(":" not in link for link in found.links)


def test_links_lead_from_the_output_folder_to_the_images(photos, tmp_path):
    make_images(photos / "a", 1)
    caption_into([photos], None, output=tmp_path / "out" / "index.html")
    (link,) = page(tmp_path / "out" / "index.html").links
    assert (tmp_path / "out" / link).resolve() == photos / "a" / "0000.png"


def test_unreadable_images_are_shown_with_the_reason(photos):
    make_images(photos, 2)
    (photos / "0000.png").write_bytes(b"")
    caption_into([photos], "html")
    found = page(photos / "captions.html")
    assert len(found.images) == 1 and "the file is empty" in found.texts and "0000.png" in found.texts


def test_a_long_gallery_has_several_pages(photos, monkeypatch):
    monkeypatch.setattr(gallery, "PER_PAGE", 4)
    captions = make_images(photos, 10)
    caption_into([photos], "html")
    pages = [photos / name for name in ("captions.html", "captions-2.html", "captions-3.html")]
    alts = [image["alt"] for path in pages for image in page(path).images]
    assert alts == list(captions.values())
    assert all(page(path).links[:3] == [path.name for path in pages] for path in pages)
    for number in range(3, 10):
        (photos / f"{number:04}.png").unlink()
    caption_into([photos], "html")
    assert [path.name for path in photos.glob("*.html")] == ["captions.html"]


def test_a_foreign_page_is_refused(photos):
    make_images(photos, 1)
    (photos / "captions.html").write_text("<p>mine")
    with pytest.raises(ConfigError, match="captions.html"):
        caption_into([photos], "html")


def test_chromium_shows_it(photos):
    """Every image is decoded, links work from file://, and no rule of accessibility is broken."""
    api = pytest.importorskip("playwright.sync_api")
    browser_path = shutil.which("chromium")
    if browser_path is None:
        pytest.skip("needs chromium")
    captions = make_images(photos, 4)
    (photos / "broken.jpg").write_bytes(b"")
    caption_into([photos], "html")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        errors = []
        tab.on("console", lambda message: errors.append(message.text))
        tab.goto((photos / "captions.html").as_uri())
        tab.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        names = [image.get_attribute("alt") for image in tab.get_by_role("img").all()]
        assert names == list(captions.values()) and not errors
        axe = pytest.importorskip("axe_playwright_python.sync_playwright")
        assert axe.Axe().run(tab).violations_count == 0
        tab.get_by_role("link").nth(1).click()
        assert tab.url == (photos / "0001.png").as_uri()
        browser.close()
