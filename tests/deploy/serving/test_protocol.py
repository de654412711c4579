"""Connections of slow, broken and greedy clients, over real sockets."""

import json
import socket
import time

import pytest

from capsmith.deploy.serving.protocol import limited
from capsmith.deploy.serving.settings import ServeSettings
from tests.support.service import served

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def app(scope, receive, send):
    """Answers the length of the body; ``/large`` answers forty megabytes, ``/slow`` after a moment."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/slow":
        import asyncio

        await asyncio.sleep(0.6)
    content = b"x" * 40_000_000 if scope["path"] == "/large" else str(len(body)).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def port():
    settings = ServeSettings(header_timeout=0.4, body_timeout=0.5, max_header=2048, max_connections=5)
    with served(
        app,
        http=limited(settings),
        ws="none",
        timeout_keep_alive=1,
        h11_max_incomplete_event_size=settings.max_header,
    ) as address:
        yield int(address.rsplit(":", 1)[1])


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read_answer(client):
    """Returns a short answer of a connection that stays open."""
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2]:
        part = client.recv(4096)
        assert part, answer
        answer += part
    return answer


def read_all(client):
    """Returns everything until the server closes the connection, and the seconds that it took."""
    start, parts = time.monotonic(), []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts), time.monotonic() - start


def problem(answer):
    """Returns the status of an answer that is a complete problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head and b"connection: close" in head
    content = json.loads(body)
    assert head.split()[1] == str(content["status"]).encode()
    return content["status"]


def test_a_client_that_sends_its_headers_byte_by_byte_is_refused(port):
    with connect(port) as client:
        start = time.monotonic()
        client.settimeout(0.05)
        answer = b""
        for byte in GET + b"X-Slow: " + b"x" * 200:
            try:
                client.send(bytes([byte]))
                answer = client.recv(1000)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        client.settimeout(5)
        assert problem(answer + read_all(client)[0]) == 408
        assert time.monotonic() - start < 4


def test_a_connection_without_a_request_is_closed(port):
    with connect(port) as client:
        answer, seconds = read_all(client)
    assert seconds < 4 and (not answer or problem(answer) == 408)


def test_the_time_of_the_headers_begins_anew_for_each_request_of_a_connection(port):
    with connect(port) as client:
        for _ in range(3):
            client.sendall(GET + b"\r\n")
            assert read_answer(client).endswith(b"0")
            time.sleep(0.5)  # longer than the time of the headers, shorter than the keep-alive
        client.sendall(b"GET / HT")
        assert problem(read_all(client)[0]) == 408


def test_a_connection_without_further_requests_is_closed(port):
    with connect(port) as client:
        client.sendall(GET + b"\r\n")
        answer, seconds = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200") and 0.5 < seconds < 5


def test_a_request_that_takes_longer_than_the_headers_may_is_answered(port):
    with connect(port) as client:
        client.sendall(GET.replace(b"/ ", b"/slow ", 1) + b"\r\n")
        assert read_answer(client).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order(port):
    with connect(port) as client:
        one = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        client.sendall(one % 3 + b"abc" + one % 1 + b"a" + GET + b"Connection: close\r\n\r\n")
        answer, _ = read_all(client)
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200")[1:]] == [b"3", b"1", b"0"]


def test_large_headers_are_refused(port):
    for head in (
        GET + b"X: " + b"x" * 5000,
        b"GET /" + b"x" * 5000,
        GET + b"".join(b"A%d: b\r\n" % n for n in range(999)),
    ):
        with connect(port) as client:
            client.sendall(head)
            assert problem(read_all(client)[0]) == 431


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",  # TLS
        b"HELLO\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        GET + b"Bad Header: x\r\n\r\n",
        GET + b"X: a\x00b\r\n\r\n",
        GET + b"Content-Length: -1\r\n\r\n",
        GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        GET + b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(port, junk):
    with connect(port) as client:
        client.sendall(junk)
        assert problem(read_all(client)[0]) in (400, 431)


def test_a_broken_body_ends_the_connection(port):
    with connect(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n")
        answer, seconds = read_all(client)
    assert b" 200 " not in answer and seconds < 4


def test_a_client_that_does_not_read_its_answer_is_cut_off(port):
    with connect(port) as client:
        client.sendall(GET.replace(b"/ ", b"/large ", 1) + b"\r\n")
        time.sleep(2)
        answer, seconds = read_all(client)
    assert len(answer) < 40_000_000 and seconds < 4


def test_there_are_at_most_so_many_connections(port):
    time.sleep(0.3)
    clients = [connect(port) for _ in range(5)]
    try:
        for client in clients:
            client.sendall(GET + b"\r\n")
            assert read_answer(client).startswith(b"HTTP/1.1 200")
        with connect(port) as sixth:
            answer, _ = read_all(sixth)
        assert problem(answer) == 503 and b"retry-after: 1" in answer
    finally:
        for client in clients:
            client.close()
    time.sleep(0.3)
    with connect(port) as client:
        client.sendall(GET + b"\r\n")
        assert read_answer(client).startswith(b"HTTP/1.1 200")
