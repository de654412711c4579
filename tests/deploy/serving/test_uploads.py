"""Uploads: limits of size, count and time; malformed forms and JSON; a client that goes away. All are problems."""

import asyncio
import base64
import json
import socket
import threading
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from capsmith.deploy.serving import json_bodies, uploads
from capsmith.deploy.serving.problems import Problem
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.image_bytes import encoded
from tests.support.service import QuickCaptioner, client_of, image_bytes, quick_app, served

RED = image_bytes()
TEXT = base64.b64encode(RED).decode()
FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def client():
    with client_of(quick_app(ServeSettings(max_upload=100_000, max_images=3, max_pixels=10_000))) as client:
        yield client


def part(name="image", content=RED, filename="x.png", more=b""):
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return head + more + b"\r\n" + content + b"\r\n"


END = b"--b--\r\n"


def send(client, body, kind=FORM):
    answer = client.post("/v1/captions", content=body, headers={"content-type": kind})
    assert answer.status_code < 500
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    return answer


MALFORMED_FORMS = {
    "empty": (b"", 400),
    "no last boundary": (part(), 400),
    "cut in a header": (b"--b\r\nContent-Disposition: form-da", 400),
    "no disposition": (b"--b\r\nX: y\r\n\r\nabc\r\n" + END, 400),
    "no name": (b"--b\r\nContent-Disposition: form-data\r\n\r\nabc\r\n" + END, 400),
    "attachment": (b'--b\r\nContent-Disposition: attachment; name="image"\r\n\r\nabc\r\n' + END, 400),
    "another boundary": (part().replace(b"--b\r\n", b"--c\r\n") + b"--c--\r\n", 400),
    "a long header": (part(more=b"X: " + b"y" * 5000 + b"\r\n") + END, 400),
    "many headers": (part(more=b"".join(b"X%d: y\r\n" % n for n in range(50))) + END, 400),
    "no image": (part("n", b"3", None) + END, 422),
    "an empty image": (part(content=b"") + END, 422),
    "a field that is a file": (part() + part("prefix", b"a", "a.txt") + END, 422),
    "an unknown field": (part() + part("path", b"/etc/passwd", None) + END, 422),
    "a field twice": (part() + part("n", b"1", None) * 2 + END, 422),
    "a long field": (part() + part("prefix", b"a" * 5000, None) + END, 422),
    "a long name": (part() + part("a" * 300, b"a", None) + END, 422),
    "a field that is not UTF-8": (part() + part("prefix", b"\xff\xfe", None) + END, 422),
    "a hundred fields": (part() + part("n", b"1", None) * 100 + END, 422),
    "too many images": (part() * 4 + END, 422),
    "a path as image": (part(content=b"/etc/passwd") + END, 422),
    "a URL as image": (part(content=b"http://127.0.0.1/") + END, 422),
    "a bomb": (part(content=image_bytes(size=(101, 100))) + END, 422),
    "too large": (part(content=b"\xff\xd8\xff" * 40_000) + END, 413),
}


@pytest.mark.parametrize("name", MALFORMED_FORMS)
def test_malformed_forms(client, name):
    body, status = MALFORMED_FORMS[name]
    assert send(client, body).status_code == status


MALFORMED_JSON = {
    "empty": (b"", 400),
    "not JSON": (b"{", 400),
    "not an object": (b"[]", 422),
    "a repeated key": (f'{{"images": ["{TEXT}"], "n": 1, "n": 2}}'.encode(), 400),
    "NaN": (f'{{"images": ["{TEXT}"], "temperature": NaN}}'.encode(), 400),
    "a huge number": (f'{{"images": ["{TEXT}"], "seed": 1e999}}'.encode(), 400),
    "deep": (b"[" * 100_000, 400),
    "deep and closed": (b'{"images":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
    "many nested lists": (b'{"images": [' + (b"[" * 150 + b"]" * 150 + b",") * 400 + b"1]}", 400),
    "many lists": (b'{"images": [' + b"[]," * 40_000 + b"1]}", 422),
    "many texts": (b'{"images": [' + b'"",' * 40_000 + b"1]}", 422),
    "a lone surrogate": (f'{{"images": ["{TEXT}"], "prefix": "\\ud800"}}'.encode(), 400),
    "UTF-16": (json.dumps({"images": [TEXT]}).encode("utf-16"), 400),
    "not UTF-8": (b'{"images": ["\xff"]}', 400),
    "no images": (b"{}", 422),
    "no image": (b'{"images": []}', 422),
    "images are a text": (f'{{"images": "{TEXT}"}}'.encode(), 422),
    "an image is null": (b'{"images": [null]}', 422),
    "an image is an object": (b'{"images": [{"path": "/etc/passwd"}]}', 422),
    "not base64": (b'{"images": ["*"]}', 422),
    "a half": (b'{"images": ["abc"]}', 422),
    "not ASCII": ('{"images": ["é"]}'.encode(), 422),
    "a URL": (b'{"images": ["http://127.0.0.1/x.png"]}', 422),
    "a data URL of text": (b'{"images": ["data:text/html;base64,YQ=="]}', 422),
    "a data URL without base64": (b'{"images": ["data:image/svg+xml,<svg/>"]}', 422),
    "base64 of text": (b'{"images": ["aGVsbG8="]}', 422),
    "null": (f'{{"images": ["{TEXT}"], "n": null}}'.encode(), 422),
    "a number as text": (f'{{"images": ["{TEXT}"], "n": "3"}}'.encode(), 422),
    "true for 1": (f'{{"images": ["{TEXT}"], "n": true}}'.encode(), 422),
    "a fraction": (f'{{"images": ["{TEXT}"], "n": 1.5}}'.encode(), 422),
    "unknown": (f'{{"images": ["{TEXT}"], "exclude_file": "/etc/passwd"}}'.encode(), 422),
    "a reranker": (f'{{"images": ["{TEXT}"], "rerank": {{"type": "mbr"}}}}'.encode(), 422),
    "too many images": (json.dumps({"images": [TEXT] * 4}).encode(), 422),
    "too large": (json.dumps({"images": ["A" * 400_000]}).encode(), 413),
}


@pytest.mark.parametrize("name", MALFORMED_JSON)
def test_malformed_json(client, name):
    body, status = MALFORMED_JSON[name]
    assert send(client, body, "application/json").status_code == status


@pytest.mark.parametrize(
    "kind, status",
    [
        ("text/plain", 415),
        ("", 415),
        ("image/png", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=" + "b" * 300, 400),
        ("multipart/form-data; boundary=b; charset=utf-7", 415),
        ("application/json; charset=latin-1", 415),
        ("\x80;;;", 415),
    ],
)
def test_content_types(client, kind, status):
    answer = client.post("/v1/captions", content=part() + END, headers={"content-type": kind.encode("latin-1")})
    assert answer.status_code == status


def test_valid_numbers_and_texts(client):
    body = part() + part("n", b"3", None) + part("temperature", b"0.5", None) + part("search", b"sample", None) + END
    assert send(client, body).status_code == 200
    assert send(client, json.dumps({"images": [TEXT], "n": 3.0}).encode(), "application/json").status_code == 200


@pytest.mark.parametrize("text", ["3.0", "+3", " 3", "٣", "1_0", "0x3", "", "03", "1e0", "true", "9" * 400])
def test_texts_that_are_no_whole_number(client, text):
    assert send(client, part() + part("n", text.encode(), None) + END).status_code == 422


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\temp\\x.png", "a\x1b[31m.png", "é" * 400, "<script>.png", "\u202etxt.png"]
)
def test_file_names_are_only_shown(client, name):
    shown = send(client, part(filename=name).replace(b"\r\n\r\n", b"\r\n\r\n", 1) + END).json()["results"][0]["image"]
    assert len(shown) <= 255 and shown.isprintable() and "/" not in shown and "\\temp" not in shown


def test_errors_do_not_repeat_long_input(client):
    answer = send(client, part() + part("y" * 99, b"z" * 4000, None) + END)
    assert len(answer.content) < 2000


# --- with a server ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captioner():
    return QuickCaptioner()


@pytest.fixture(scope="module")
def app(captioner):
    limits = ServeSettings(max_upload=1_000_000, body_timeout=0.6, request_timeout=1.0, max_queue=4)
    return quick_app(limits, captioner)


@pytest.fixture(scope="module")
def address(app):
    with served(app) as address:
        yield address


def connection(address):
    return socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10)


def head(address, length, kind=FORM, more=""):
    host = address.removeprefix("http://")
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return f"POST /v1/captions HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n{size}\r\n{more}\r\n".encode()


def answer_of(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65_536)):
            break
        data += more
    return data


def test_a_stated_length_is_refused_before_the_body_is_sent(address):
    with connection(address) as client:
        client.sendall(head(address, 50_000_000, more="Expect: 100-continue\r\n"))
        assert answer_of(client).startswith(b"HTTP/1.1 413")


def test_a_body_without_length_is_cut_off(address):
    with connection(address) as client:
        client.sendall(head(address, None))
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        with pytest.raises(OSError):  # the service closes the connection, long before all is sent
            for _ in range(4000):
                client.sendall(chunk)


def test_the_answer_arrives_though_the_client_is_still_sending(address):
    answer = httpx.post(f"{address}/v1/captions", files={"image": b"\xff\xd8\xff" * 900_000})
    assert answer.status_code == 413 and answer.headers["connection"] == "close"


def test_a_slow_body(address):
    with connection(address) as client:
        client.sendall(head(address, 1000) + part()[:20])
        start = time.monotonic()
        assert answer_of(client).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 5


def test_a_client_that_goes_away_frees_its_place(address, app, captioner):
    batcher = app.state.service.models.get().batcher
    captioner.gate.clear()
    started, body = captioner.started, part() + END
    clients = [connection(address) for _ in range(4)]
    for client in clients:
        client.sendall(head(address, len(body)) + body)
        wait_until(lambda: captioner.started > started)  # the first is computed, the others wait
    wait_until(lambda: batcher.waiting == 4)
    assert httpx.post(f"{address}/v1/captions", files={"image": RED}).status_code == 429
    for client in clients[1:]:
        client.close()
    wait_until(lambda: batcher.waiting <= 1)
    captioner.gate.set()
    assert answer_of(clients[0]).startswith(b"HTTP/1.1 200")
    assert httpx.post(f"{address}/v1/captions", files={"image": RED}).status_code == 200
    metrics = httpx.get(f"{address}/metrics").text
    assert 'capsmith_http_requests_total{method="POST",route="/v1/captions",status="499"} 3.0' in metrics
    assert app.state.service.memory.used == 0


def test_an_answer_that_takes_too_long(address, app, captioner):
    captioner.gate.clear()
    try:
        assert httpx.post(f"{address}/v1/captions", files={"image": RED}).status_code == 504
    finally:
        captioner.gate.set()
    wait_until(lambda: app.state.service.models.get().batcher.waiting == 0)


def test_uploads_in_flight_take_bounded_memory():
    app = quick_app(ServeSettings(max_upload=100_000, body_timeout=5.0))
    memory = app.state.service.memory
    memory.limit = 150_000
    with served(app) as address:
        slow = connection(address)
        slow.sendall(head(address, 90_000) + part()[:80] + b"a" * 80_000)
        wait_until(lambda: memory.used >= 80_000)
        answer = httpx.post(f"{address}/v1/captions", files={"image": b"\xff\xd8\xff" * 30_000})
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        slow.close()
        wait_until(lambda: memory.used == 0)
        assert httpx.post(f"{address}/v1/captions", files={"image": RED}).status_code == 200


def test_many_clients_at_once(address):
    statuses = []

    def ask():
        with httpx.Client(base_url=address, trust_env=False) as client:
            statuses.extend([client.post("/v1/captions", files={"image": RED}).status_code for _ in range(10)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40


def wait_until(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_body_in_chunks(address):
    body = part() + END
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:50], body[50:51], body[51:]))
    with connection(address) as client:
        client.sendall(head(address, None) + chunks + b"0\r\n\r\n")
        assert answer_of(client).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_longer_than_stated(address):
    body = part() + END
    with connection(address) as client:
        client.sendall(head(address, len(body)) + body + b"GET /" + b"\x00" * 100)
        assert answer_of(client).startswith(b"HTTP/1.1 200")


def test_a_connection_is_used_again(address):
    with httpx.Client(base_url=address, trust_env=False) as client:
        streams = set()
        for _ in range(3):
            answer = client.post("/v1/captions", files={"image": RED})
            assert answer.status_code == 200
            streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(streams) == 1


def test_ordinary_images_do_not_wait_for_large_ones(monkeypatch):
    """Two large images are decoded one after the other, and an ordinary one meanwhile, though there is one worker."""
    decoding, most, go = 0, 0, threading.Event()

    def load(image, size, name, **_):
        nonlocal decoding, most
        if image.width > 2000:
            decoding += 1
            most = max(most, decoding)
            assert go.wait(20)
            decoding -= 1
        return np.zeros((*size, 3), np.uint8)

    monkeypatch.setattr(uploads, "opened_pixels", load)
    large, small = (encoded(Image.new("1", (side, side)), "PNG") for side in (4000, 20))

    async def run():
        decoder = uploads.Decoder(1, 40_000_000)
        slow = asyncio.ensure_future(decoder.decode([uploads.Upload(large)] * 2, [(8, 8)]))
        await asyncio.sleep(0.1)
        quick = await asyncio.wait_for(decoder.decode([uploads.Upload(small)], [(8, 8)]), 10)
        assert (quick[0].width, not slow.done()) == (20, True)
        go.set()
        assert [picture.height for picture in await slow] == [4000, 4000] and most == 1
        decoder.close()

    asyncio.run(run())


@pytest.mark.parametrize(("keys", "status"), [(100, 422), (100_000, 422)])
def test_a_body_of_many_keys(client, keys, status):
    answer = client.post("/v1/captions", json={"images": [], **{f"key{n}": 1 for n in range(keys)}})
    assert answer.status_code in (status, 400, 413) and len(answer.content) < 1000


@pytest.mark.parametrize(
    "costly", [b'""' * 30_000, b"[" * 90 + b"]" * 90, b"1," * 30_000, b'"' + b"\\ud83d\\ude00" * 9000]
)
def test_json_that_would_hold_up_everybody_is_not_parsed(costly, monkeypatch):
    """What takes a parser long is counted before; images in base64 are not, however other programs escape them."""
    parsed = []
    monkeypatch.setattr(json_bodies, "parse_json", lambda raw: parsed.append(raw) or {"images": []})
    with pytest.raises(Problem) as refused:
        json_bodies.json_body(b'{"images": [' + costly * 300, ServeSettings())
    assert refused.value.status in (400, 422) and not parsed
    image = base64.b64encode(bytes(range(256)) * 20_000)
    escaped = image.replace(b"/", b"\\/").replace(b"+", b"\\u002B")
    json_bodies.json_body(b'{"images": ["' + escaped + b'"]}', ServeSettings())
    assert len(parsed) == 1


@pytest.mark.parametrize("path", ["/static/style.css%0a", "/v1/models%0d%0aX:1", "/healthz%00", "/%7f"])
def test_control_characters_in_a_path(client, path):
    assert client.get(path).status_code == 400
