"""The application: its operations, their answers, and what every answer carries."""

import base64

import pytest

from tests.support.service import QuickCaptioner, client_of, image_bytes, quick_app

RED, GREEN = image_bytes((200, 20, 20)), image_bytes((20, 200, 20), form="JPEG")


@pytest.fixture(scope="module")
def client():
    with client_of(quick_app(None, QuickCaptioner(), QuickCaptioner(attends=False))) as client:
        yield client


def test_a_form_with_two_images(client):
    files = [("image", ("red.png", RED)), ("image", ("green.jpg", GREEN))]
    answer = client.post("/v1/captions", files=files, data={"attention": "true", "n": "3"})
    assert answer.status_code == 200
    assert answer.json()["model"] == "quick"
    first, second = answer.json()["results"]
    assert (first["index"], first["image"], first["width"], first["height"]) == (0, "red.png", 12, 9)
    assert (first["caption"], second["caption"]) == ("a red picture", "a green picture")
    assert [word["word"] for word in first["words"]] == ["a", "red", "picture"]
    assert first["words"][1]["probability"] == pytest.approx(0.8)
    assert first["words"][1]["attention"][1][1] == 1 and len(first["words"][1]["attention"]) == 9
    assert len(first["alternatives"]) == 2 and first["unlike_training"] is None


def test_json_gives_the_answer_of_a_form(client):
    form = client.post("/v1/captions", files={"image": RED}, data={"search": "greedy", "max_length": "7"}).json()
    body = {"images": [base64.b64encode(RED).decode()], "search": "greedy", "max_length": 7}
    assert client.post("/v1/captions", json=body).json() == form | {
        "results": [form["results"][0] | {"image": None}],
    }


def test_a_data_url(client):
    url = f"data:image/png;base64,{base64.b64encode(RED).decode()}"
    assert client.post("/v1/captions", json={"images": [url]}).json()["results"][0]["caption"] == "a red picture"


def test_models_are_chosen_by_name(client):
    models = client.get("/v1/models").json()["models"]
    assert [(model["name"], model["default"], model["attends"]) for model in models] == [
        ("quick", True, True),
        ("quick-2", False, False),
    ]
    answer = client.post("/v1/captions", files={"image": RED}, data={"model": "quick-2", "attention": "true"}).json()
    assert answer["model"] == "quick-2" and "attention" not in answer["results"][0]["words"][0]
    assert client.post("/v1/captions", files={"image": RED}, data={"model": "none"}).status_code == 404


def test_images_that_cannot_be_read_are_listed(client):
    files = [("image", RED), ("image", b"no image"), ("image", GREEN), ("image", b"")]
    answer = client.post("/v1/captions", files=files)
    assert answer.status_code == 422
    assert [(error["field"], error["index"]) for error in answer.json()["errors"]] == [("image", 1), ("image", 3)]


def test_health_and_metrics(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.post("/v1/captions", files={"image": RED})
    lines = client.get("/metrics").text.splitlines()
    assert 'capsmith_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in lines
    assert any(line.startswith('capsmith_batch_images_count{model="quick",stage="search"}') for line in lines)


@pytest.mark.parametrize(
    "method, path, status, allow",
    [
        ("DELETE", "/v1/captions", 405, "POST"),
        ("OPTIONS", "/v1/captions", 405, "POST"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("GET", "/v1/models/", 404, None),
        ("GET", "/nothing", 404, None),
        ("GET", "/static/../settings.py", 404, None),
        ("GET", "/static/%2e%2e/settings.py", 404, None),
        ("HEAD", "/v1/captions", 405, "POST"),
        ("HEAD", "/nothing", 404, None),
    ],
)
def test_what_is_not_there_is_a_problem(client, method, path, status, allow):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    if method != "HEAD":
        assert answer.json()["status"] == status


def test_head_has_the_headers_of_get_and_no_body(client):
    get, head = client.get("/v1/models"), client.head("/v1/models")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == str(len(get.content))


def test_swagger_is_served_from_the_package(client):
    page = client.get("/docs")
    assert (
        "http" not in page.text.replace("http-equiv", "")
        and "'unsafe-inline'" in page.headers["content-security-policy"]
    )
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert all(
        client.get(f"/static/swagger/swagger-ui-bundle.js{ending}").is_success for ending in ("", ".LICENSE.txt")
    )
    script = client.get("/static/swagger/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript") and len(script.content) > 1_000_000
    again = client.get("/static/swagger/swagger-ui-bundle.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_the_stylesheet_of_all_pages_is_served(client):
    from capsmith.core.pages.stylesheet import stylesheet

    answer = client.get("/static/style.css")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.text == stylesheet() and answer.headers["cache-control"] == "no-cache" and answer.headers["etag"]
