"""A browser for the tests of pages."""

import pytest

from benchmarks import browser


@pytest.fixture(scope="module")
def chromium():
    """Chromium, started once for a module: Playwright's event loop would disturb the modules after it."""
    pytest.importorskip("playwright", reason="needs playwright")
    if browser.chromium() is None:
        pytest.skip("needs Chromium")
    with browser.launched() as launched:
        yield launched
