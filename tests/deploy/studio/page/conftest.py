"""Fixtures of the tests of the studio's page: one browser a module, a context a test."""

import pytest

from tests.deploy.studio.page.window import Window, paint, studio_over


@pytest.fixture
def open_window(chromium):
    """Opens windows; at the end, none may have asked for anything elsewhere or reported a problem."""
    windows, contexts = [], []

    def open_one(address, query="", captioned=True, context=None, **settings):
        if context is None:
            settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | settings
            context = chromium.new_context(**settings)
            contexts.append(context)
        window = Window.open(context, address, query, captioned)
        windows.append(window)
        return window

    yield open_one
    for window in windows:
        assert window.problems == []
        assert [url for url in window.requests if not url.startswith((window.address, "blob:", "data:"))] == []
    for context in contexts:
        context.close()


@pytest.fixture
def folder(tmp_path):
    return paint(tmp_path / "photos")


@pytest.fixture
def address(folder):
    with studio_over(folder) as running:
        yield running


@pytest.fixture
def window(open_window, address):
    return open_window(address)
