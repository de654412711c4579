"""Many clients: that go away, that hold connections, and that ask for the dearest things at once."""

import contextlib
import random
import resource
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.attacks import Breach, Played, attack
from tests.attacks.forms import IMAGE
from tests.attacks.protocol import CLOSE, HOST, post
from tests.attacks.server import Server
from tests.attacks.wire import connect, exchange, form, head
from tests.mistakes.broken_images import bomb

BUSY = (200, 429, 503)


def _leave(connection: socket.socket) -> None:
    """Closes a connection by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@attack("40 clients that go away while they are captioned", 0, slow=True)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)])
    for number in range(40):
        connection = connect(server.port)
        connection.sendall(post(("Content-Length", str(len(body)))) + body)
        time.sleep(0.003 * (number % 5))
        _leave(connection)
    time.sleep(1.0)
    return None


@attack("600 clients that go away at any moment, alone and eight at a time", 0, slow=True)
def _(server: Server) -> Played:
    """Their images may be waiting, decoded, in a batch of the encoder, or in a search; others share these batches."""
    chance = random.Random(3)

    def ask(moment: float) -> None:
        images = 1 + int(moment * 1e6) % 2
        body = form([(IMAGE, server.photo)] * images)
        connection = connect(server.port)
        connection.sendall(post(("Content-Length", str(len(body)))) + body)
        time.sleep(moment)
        _leave(connection)

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(ask, [chance.choice((0.15, 0.05, 0.01)) * chance.random() for _ in range(300)]))
    over = threading.Event()

    def keep_it_expecting() -> None:
        while not over.is_set():
            server.upload(bomb(3500))

    other = threading.Thread(target=keep_it_expecting)
    other.start()
    for _ in range(300):
        ask(0.02 * chance.random())
        time.sleep(0.01)
    over.set()
    other.join()
    time.sleep(1.0)
    return None


@attack("40 clients that go away in the middle of an upload", 0)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)])
    for _ in range(40):
        connection = connect(server.port)
        connection.sendall(post(("Content-Length", str(len(body)))) + body[: len(body) // 2])
        _leave(connection)
    time.sleep(0.3)
    return None


@attack("1,000 connections that are closed at once", 0)
def _(server: Server) -> Played:
    for _ in range(1000):
        _leave(connect(server.port))
    return None


@attack("500 connections that are held", 0, 200, 503, 408, slow=True)
def _(server: Server) -> Played:
    """Somebody else must still be answered meanwhile."""
    with contextlib.ExitStack() as held:
        for number in range(500):
            connection = held.enter_context(connect(server.port))
            connection.sendall(b"GET /healthz HTTP/1.1\r\n" if number % 2 else b"")
        start = time.monotonic()
        answer = server.upload(server.photo)
        if answer is None or answer.status != 200 or time.monotonic() - start > 4:
            raise Breach("nobody else is answered meanwhile")
    return answer


@attack("2,000 connections that are held: more than allowed", 0, 200, 503, 408, slow=True)
def _(server: Server) -> Played:
    """New ones are refused or answered, and the server recovers as soon as they are closed, or time out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with contextlib.ExitStack() as held:
            for _ in range(2000):
                with contextlib.suppress(OSError):
                    held.enter_context(connect(server.port, 2.0))
            with contextlib.suppress(OSError):
                exchange(server.port, head("GET", "/healthz", [HOST, CLOSE]), timeout=3.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    time.sleep(0.5)
    return None


@attack("64 clients with the dearest search", *BUSY, slow=True)
def _(server: Server) -> Played:
    dear = {"search": "beam", "beam_size": "10", "n": "10", "min_length": "60", "max_length": "60"}
    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(lambda _: server.upload(server.photo, **dear), range(64)))
    return [answer for answer in answers if answer is not None]


@attack("24 clients with 16 images of 39 megapixels, who then leave", 0, slow=True)
def _(server: Server) -> Played:
    body = form([(IMAGE, bomb(6200))] * 16)
    request = post(("Content-Length", str(len(body)))) + body
    connections = [connect(server.port) for _ in range(24)]
    for connection in connections:
        connection.sendall(request)
    time.sleep(1.0)
    for connection in connections:
        _leave(connection)
    time.sleep(3.0)  # images that are being decoded are finished, all others are dropped
    return None


@attack("60 uploads of 10 MB at once", 200, 413, 422, 429, 503, slow=True)
def _(server: Server) -> Played:
    with ThreadPoolExecutor(60) as clients:
        answers = list(clients.map(lambda _: server.upload(b"x" * 9_900_000), range(60)))
    return [answer for answer in answers if answer is not None]


@attack("60 uploads of 10 MB that stop before the end", 0, 408, slow=True)
def _(server: Server) -> Played:
    """Their memory must be given back, and somebody else must still be answered."""
    connections = []
    for _ in range(60):
        connection = connect(server.port, 3.0)
        connections.append(connection)
        with contextlib.suppress(OSError):
            connection.sendall(
                post(("Content-Length", "9999999")) + b"--x\r\n" + IMAGE.encode() + b"\r\n\r\n" + b"x" * 9_000_000
            )
    for connection in connections:
        connection.close()
    time.sleep(1.0)
    return None


@attack("20 JSON bodies of 13 MB of nested lists at once", 400, 413, 422, 429, slow=True)
def _(server: Server) -> Played:
    """A parser that holds the interpreter must not hold up everybody else."""
    body = b'{"images": [' + (b"[" * 100 + b"]" * 100 + b",") * 64_000 + b"0]}"
    with ThreadPoolExecutor(20) as clients:
        coming = [clients.submit(server.json, body) for _ in range(20)]
        time.sleep(0.5)
        slowest = 0.0
        while not all(one.done() for one in coming):
            start = time.monotonic()
            server.get("/healthz")
            slowest = max(slowest, time.monotonic() - start)
        answers = [one.result() for one in coming]
    if slowest > 3.0:
        raise Breach(f"others wait for {slowest:.1f} s")
    return [answer for answer in answers if answer is not None]


@attack("200 threads that ask for everything", 200, 404, 405, 429, 503, slow=True)
def _(server: Server) -> Played:
    targets = ["/", "/docs", "/openapi.json", "/metrics", "/v1/models", "/v1/captions", "/static/style.css", "/nothing"]
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda n: server.get(targets[n % len(targets)]), range(400)))
    return [answer for answer in answers if answer is not None]


@attack("a bomb and a good photo at once", 200, 422)
def _(server: Server) -> Played:
    """The photo's caption does not depend on what it came with."""
    good = []
    thread = threading.Thread(target=lambda: good.extend(server.good_caption(10.0)))
    thread.start()
    answer = server.upload(bomb())
    thread.join()
    if good:
        raise Breach(good[0])
    return answer
