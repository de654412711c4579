"""What every request passes: log lines, counters, errors of the service, and models that are still loading."""

import re

import pytest

from capsmith.core.errors import CheckpointError
from capsmith.deploy.serving.app import create_app
from capsmith.deploy.serving.models import Models
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import QuickCaptioner, client_of, image_bytes, quick_app

SECRET = "secret-words"


class Broken(QuickCaptioner):
    """Fails with a message that tells a name."""

    error = ValueError

    def encode(self, pixels):
        raise self.error(f"cannot read /home/me/{SECRET}.png")


class Exhausted(QuickCaptioner):
    """Runs out of memory."""

    def encode(self, pixels):
        raise MemoryError


def test_log_lines_tell_nothing_about_images(log_lines):
    with client_of(quick_app(ServeSettings(verbose=True))) as client:
        files = {"image": (f"{SECRET}.png", image_bytes())}
        client.post(f"/v1/captions?key={SECRET}", files=files, headers={"x-api-key": SECRET})
        client.post("/v1/captions", files=files, data={"prefix": SECRET})
        client.get(f"/{SECRET}")
        client.get(f"/static/{SECRET}.css")
    assert [re.sub(r"\d+ ms", "N ms", line) for line in log_lines] == [
        "POST /v1/captions 200 N ms",
        "POST /v1/captions 422 N ms",
        "GET unknown 404 N ms",
        "GET /static/{name:path} 404 N ms",
    ]


def test_the_service_is_quiet_unless_asked(log_lines):
    with client_of(quick_app()) as client:
        client.get("/healthz")
    assert log_lines == []


@pytest.mark.parametrize("error", [ValueError, CheckpointError, KeyError])
def test_an_error_of_the_service_is_a_problem_and_one_log_line(log_lines, error):
    captioner = Broken()
    captioner.error = error
    with client_of(quick_app(None, captioner)) as client:
        answer = client.post("/v1/captions", files={"image": image_bytes()})
    assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text and "Traceback" not in answer.text
    assert len(log_lines) == 1 and error.__name__ in log_lines[0] and SECRET not in log_lines[0]


def test_too_little_memory_is_not_an_error_of_the_service():
    with client_of(quick_app(None, Exhausted())) as client:
        answer = client.post("/v1/captions", files={"image": image_bytes()})
    assert answer.status_code == 503 and answer.headers["retry-after"]


def test_models_that_are_loading():
    with client_of(create_app(Models(names=["slow"]), ServeSettings())) as client:
        assert client.get("/healthz").status_code == 200
        for answer in (
            client.get("/readyz"),
            client.get("/v1/models"),
            client.get("/model/metadata"),
            client.post("/v1/captions", files={"image": image_bytes()}),
            client.post("/model/predict", files={"image": image_bytes()}),
        ):
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
            assert answer.json()["status"] == 503
        assert client.get("/metrics").status_code == 200


def test_labels_of_metrics_are_few():
    with client_of(quick_app()) as client:
        for number in range(50):
            client.get(f"/random/{number}")
            client.get(f"/static/{number}")
            client.request(f"METHOD{number}", "/v1/models")
        lines = [line for line in client.get("/metrics").text.splitlines() if "http_requests_total{" in line]
    assert {re.search('route="(.*?)"', line)[1] for line in lines} == {"unknown", "/static/{name:path}", "/v1/models"}
    assert len(lines) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_websockets_and_upgrades_are_not_answered(method):
    with client_of(quick_app()) as client:
        headers = {"connection": "upgrade", "upgrade": "websocket"}
        assert client.request(method, "/v1/captions", headers=headers).status_code in (405, 411, 415)
