"""Host names, origins and headers."""

import pytest

from capsmith.deploy.serving.security import KnownHosts, is_same_origin
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import client_of, image_bytes, quick_app

LOCAL = ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8000", "localhost."]
FOREIGN = ["evil.example", "evil.example:8000", "localhost.evil.example", "192.168.0.9", "", "a b", "localhost:8000:1"]
FOREIGN += ["127.0.0.1.evil.example", "localhost/", "user@localhost", "[::2]", "[zz]", "localhost:99999999", "0x7f.1"]


@pytest.mark.parametrize("host", LOCAL)
def test_a_loopback_service_knows_loopback_names(host):
    assert KnownHosts("127.0.0.1").knows(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_a_loopback_service_knows_nothing_else(host):
    assert not KnownHosts("127.0.0.1").knows(host)


def test_further_hosts():
    hosts = KnownHosts("127.0.0.1", ["captions.example:8443"])
    assert hosts.knows("captions.example") and hosts.knows("Captions.Example:1") and not hosts.knows("other.example")
    assert KnownHosts("127.0.0.1", ["*"]).knows("anything.example")


def test_a_public_service_knows_addresses_but_not_every_name():
    hosts = KnownHosts("0.0.0.0")
    assert hosts.knows("192.168.0.9:8000") and hosts.knows("[2001:db8::1]") and hosts.knows("localhost")
    assert not hosts.knows("rebound.example")


@pytest.mark.parametrize(
    "headers, same",
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "https://localhost:8000"}, True),
        ({"origin": "http://localhost:8001"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "file://"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, False),
    ],
)
def test_changes_need_the_same_origin(headers, same):
    raw = {b"host": b"localhost:8000", **{name.encode(): value.encode() for name, value in headers.items()}}
    assert is_same_origin("POST", raw) is same
    assert is_same_origin("GET", raw)


def test_the_service_refuses_other_hosts_and_origins():
    with client_of(quick_app()) as client:
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 403
        files = {"image": image_bytes()}
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = client.post("/v1/captions", files=files, headers=headers)
            assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
        assert client.post("/v1/captions", files=files, headers={"origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/nothing", "/v1/models", "/static/style.css", "/openapi.json"])
def test_every_answer_has_the_headers(path):
    with client_of(quick_app()) as client:
        headers = client.get(path, follow_redirects=False).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'unsafe" not in policy and ("'unsafe-inline'" in policy) == (path == "/docs")
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer" and headers["cross-origin-resource-policy"] == "same-origin"


def test_long_headers_are_refused():
    with client_of(quick_app(ServeSettings(max_header=2000))) as client:
        assert client.get("/healthz", headers={"x-long": "a" * 3000}).status_code == 431
        assert client.get("/healthz", params={"long": "a" * 3000}).status_code == 431
        assert client.get("/healthz").status_code == 200
