"""Swagger UI in a browser: from the package alone, within its content security policy, and its requests work."""

import pytest

from tests.support.service import image_bytes, quick_app, served

FORM = "#operations-captions-create_captions"


@pytest.fixture(scope="module")
def address():
    with served(quick_app()) as address:
        yield address


@pytest.fixture(scope="module")
def page(chromium, address):
    page = chromium.new_page()
    page.problems, page.requests = [], []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(f"{address}/docs")
    page.wait_for_selector(".opblock")
    yield page
    page.close()


def test_a_request_of_swagger_ui_is_answered(page, tmp_path):
    (tmp_path / "red.png").write_bytes(image_bytes())
    page.click(f"{FORM} .opblock-summary-control")
    page.set_input_files(f"{FORM} input[type=file]", tmp_path / "red.png")
    page.fill(f"{FORM} tr[data-property-name=n] input", "2")
    with page.expect_response("**/v1/captions") as answer:
        page.click(f"{FORM} .execute")
    assert answer.value.status == 200
    result = answer.value.json()["results"][0]
    assert result["caption"] == "a red picture" and len(result["alternatives"]) == 1


def test_nothing_comes_from_elsewhere_and_nothing_is_blocked(page, address):
    assert page.locator(".opblock").count() == 19
    assert [url for url in page.requests if not url.startswith((f"{address}/", "data:", "blob:"))] == []
    assert page.problems == []
