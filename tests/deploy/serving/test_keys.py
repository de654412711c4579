"""API keys: the file, the comparison, and few wrong ones per address."""

import os

import pytest

from capsmith.core.errors import ConfigError
from capsmith.deploy.serving.keys import ATTEMPTS, ApiKeys, FailedAttempts, given_keys, read_keys
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import client_of, image_bytes, quick_app

KEY, OTHER = "a-key-of-enough-characters", "another-key-of-enough-characters"


def test_a_file_of_keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# mine\n\n{KEY}\r\n  {OTHER}  \n{KEY}\n")
    assert read_keys(path) == (KEY, OTHER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# only a comment\n",
        b"short\n",
        b"\xff\xfe",
        b"a key with spaces in it\n",
        b"x" * 600,
        "schlüssel-mit-umlaut".encode(),
    ],
)
def test_files_that_are_refused(tmp_path, content):
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_keys(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert content.decode("latin-1").strip()[:20] not in str(error.value) or len(content) < 3  # the key is not told


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="nothing"):
        read_keys(tmp_path / "nothing")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_others_can_read_is_a_warning(tmp_path, log_lines):
    path = tmp_path / "keys"
    path.write_text(KEY)
    path.chmod(0o600)
    read_keys(path)
    assert log_lines == []
    path.chmod(0o644)
    read_keys(path)
    assert len(log_lines) == 1 and "chmod 600" in log_lines[0] and KEY not in log_lines[0]


def test_keys_are_compared_as_a_whole():
    keys = ApiKeys([KEY, OTHER])
    assert keys.accepts(KEY.encode()) and keys.accepts(OTHER.encode())
    assert not any(map(keys.accepts, [b"", KEY[:-1].encode(), f"{KEY} ".encode(), KEY.upper().encode(), b"\xff" * 20]))
    assert not ApiKeys([]) and keys


def test_where_a_key_is_sent():
    assert given_keys({b"authorization": f"Bearer {KEY}".encode()}) == [KEY.encode()]
    assert given_keys({b"authorization": f"bearer {KEY}".encode()}) == [KEY.encode()]
    assert given_keys({b"x-api-key": KEY.encode()}) == [KEY.encode()]
    assert given_keys({b"authorization": b"Basic abc"}) == [b""]
    assert given_keys({}) == []


def test_attempts_are_forgotten_after_a_while():
    now = [0.0]
    attempts = FailedAttempts(3, 60, clock=lambda: now[0])
    for moment in (0.0, 10.0, 20.0):
        now[0] = moment
        assert attempts.wait("a") == 0
        attempts.add("a")
    assert attempts.wait("a") == pytest.approx(40) and attempts.wait("b") == 0
    now[0] = 60.5
    assert attempts.wait("a") == 0


def test_attempts_of_many_addresses_take_bounded_memory():
    attempts = FailedAttempts(3)
    for number in range(10_000):
        attempts.add(str(number))
    assert len(attempts._attempts) <= 4096


def test_addresses_with_a_right_key_are_known_for_an_hour():
    now = [0.0]
    attempts = FailedAttempts(3, clock=lambda: now[0])
    attempts.succeeded("a")
    assert attempts.knows("a") and not attempts.knows("b")
    now[0] = 3601.0
    assert not attempts.knows("a")
    for number in range(5000):
        attempts.succeeded(str(number))
    assert len(attempts._known) <= 4096


@pytest.fixture
def client():
    with client_of(quick_app(ServeSettings(keys=(KEY, OTHER)))) as client:
        yield client


def test_requests_need_a_key(client):
    files = {"image": image_bytes()}
    answer = client.post("/v1/captions", files=files)
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    for headers in ({"authorization": f"Bearer {KEY}"}, {"x-api-key": OTHER}):
        assert client.post("/v1/captions", files=files, headers=headers).status_code == 200
    both = {"authorization": f"Bearer {KEY}", "x-api-key": "wrong"}
    assert client.post("/v1/captions", files=files, headers=both).status_code == 401
    assert client.post(f"/v1/captions?key={KEY}", files=files).status_code == 401


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/model/metadata", "/nothing", "/healthz/", "/static"])
def test_paths_that_need_a_key(client, path):
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/static/style.css"])
def test_paths_that_need_none(client, path):
    assert client.get(path).status_code == 200


def test_guessing_has_to_wait(client):
    answers = [client.get("/v1/models", headers={"x-api-key": f"guess-{n}"}).status_code for n in range(ATTEMPTS + 3)]
    assert answers == [401] * ATTEMPTS + [429] * 3
    late = client.get("/v1/models", headers={"x-api-key": KEY})
    assert late.status_code == 429 and 1 <= int(late.headers["retry-after"]) <= 60
    assert client.get("/healthz").status_code == 200


def test_guesses_do_not_lock_out_clients_of_the_same_address(client):
    assert client.get("/v1/models", headers={"x-api-key": KEY}).status_code == 200
    answers = [client.get("/v1/models", headers={"x-api-key": f"guess-{n}"}).status_code for n in range(ATTEMPTS + 3)]
    assert answers == [401] * ATTEMPTS + [429] * 3
    assert client.get("/v1/models", headers={"x-api-key": OTHER}).status_code == 200


def test_keys_are_declared_in_the_document(client):
    document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    assert document["paths"]["/v1/captions"]["post"]["security"] == [{"bearer": []}, {"key": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
