"""The tabs "Recommend" and "Search" of the page in a real browser, over libraries and indexes of colours."""

import contextlib

from tests.support.finding import colour_photos, finding_app
from tests.support.service import served
from tests.support.service_page import DESKTOP, PageVisit


@contextlib.contextmanager
def finding_server(folder, settings=None, **more):
    """Serves the page over an index of colours in a folder; yields its address."""
    photos = colour_photos(folder / "photos")
    with served(finding_app(photos, folder / "photos.index", settings, **more)) as address:
        yield address


def visit_view(context, address, view):
    """Opens a view of the page, such as ``search?text=red``, and waits until it knows what the server offers."""
    visit = PageVisit.begin(context, f"{address}/#{view}", example=False)
    visit.page.wait_for_selector("#views:not([hidden])")
    return visit


def again(visit, view):
    """Shows a view in a tab that was used before, as a new visitor of a desktop sees it."""
    visit.page.set_viewport_size(DESKTOP)
    visit.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    visit.page.evaluate("view => { location.hash = view; }", view)
    visit.problems.clear()
    return visit


def hits_of(visit):
    """Returns the names of the photographs that are shown, best first."""
    visit.page.wait_for_selector("#hits:not([aria-busy]) .hit")
    return visit.page.eval_on_selector_all("#hits > li:not([hidden]) .hit", "all => all.map(hit => hit.dataset.name)")


def recommended_of(visit):
    """Returns the captions that are recommended."""
    visit.page.wait_for_selector("#recommended:not([aria-busy]) li")
    return visit.page.locator("#recommended .caption").all_inner_texts()
