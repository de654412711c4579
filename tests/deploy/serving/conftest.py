"""A browser and pages of the service for the tests of this folder."""

import pytest

from tests.support.service_page import PageCaptioner, PageVisit, page_server

CONTEXT = {"viewport": {"width": 1280, "height": 800}, "permissions": ["clipboard-read", "clipboard-write"]}


@pytest.fixture(scope="module")
def address(chromium):
    """The page over one model."""
    with page_server() as found:
        yield found


@pytest.fixture(scope="module")
def address_of_two(chromium):
    """The page over two models, of which the second does not attend."""
    captioners = (PageCaptioner(), PageCaptioner(attends=False))
    with page_server(None, *captioners) as found:
        yield found


@pytest.fixture
def context(chromium):
    opened = chromium.new_context(**CONTEXT)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def _shared_visit(chromium, address):
    opened = chromium.new_context(**CONTEXT)
    yield PageVisit.begin(opened, address)
    opened.close()


@pytest.fixture
def visit(_shared_visit):
    """A visit that the tests of a module share, without photographs."""
    _shared_visit.clear()
    return _shared_visit
