"""The example photographs: their licences, and the starter's captions, which are those of ``Captioner.caption``."""

import re
from importlib import resources

import pytest
from PIL import Image

from capsmith.core.starter import STARTER, starter_folder
from capsmith.deploy.runtime import Captioner
from capsmith.deploy.serving.app import create_app
from capsmith.deploy.serving.models import Models, served_model
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import served
from tests.support.service_page import PageVisit, caption_of

PAGE = resources.files("capsmith.deploy.serving").joinpath("page")
EXAMPLES = sorted(path for path in PAGE.joinpath("examples").iterdir() if path.name.endswith(".jpg"))


def test_examples_are_small_and_shown():
    shown = re.findall(r'data-example="([^"]+)"', PAGE.joinpath("index.html").read_text())
    assert sorted(shown) == [path.name for path in EXAMPLES] and len(shown) == 6
    for path in EXAMPLES:
        with Image.open(path) as image:
            assert max(image.size) <= 640 and path.stat().st_size <= 70_000, path.name


def test_each_example_has_an_author_and_a_licence_here_and_on_the_page():
    page = PAGE.joinpath("index.html").read_text()
    rows = [
        line.split("|")[1:-1]
        for line in PAGE.joinpath("examples", "CREDITS.md").read_text().splitlines()
        if ".jpg |" in line
    ]
    assert [row[0].strip() for row in rows] and {row[0].strip() for row in rows} == {path.name for path in EXAMPLES}
    for _, author, licence, package, origin in rows:
        assert re.match(r"public domain|CC BY 2\.0|CC0 1\.0", licence.strip()) and package.strip()
        assert origin.split("(launch")[0].strip() in page
        assert "unnamed" in author or author.strip() in page


@pytest.mark.usefixtures("chromium")
def test_the_page_shows_the_captions_of_the_starter(context):
    captioner = Captioner.load(starter_folder())
    expected = {path.name: caption for path, caption in zip(EXAMPLES, captioner.caption(EXAMPLES), strict=True)}
    settings = ServeSettings()
    app = create_app(Models.of(served_model(STARTER, captioner, settings)), settings)
    with served(app) as address:
        visit = PageVisit.begin(context, address)
        for name, caption in expected.items():
            visit.page.click(f"[data-example='{name}']")
            card = visit.wait((name,))
            assert caption_of(card) == caption.text, name
            others = card.locator(".alternative-text").all_inner_texts()
            assert others == [caption.text, *(one.text for one in caption.alternatives)]
            assert card.locator(".unlike").count() == caption.domain.unlike_training == (name == "rocket.jpg")
