"""HTTP itself: lengths that lie, endless and slow requests, smuggling, and other protocols."""

import socket
import struct
import time

from tests.attacks import Breach, Played, attack
from tests.attacks.forms import FORM, IMAGE
from tests.attacks.server import Server
from tests.attacks.wire import connect, exchange, form, head, parse, read_all

HOST = ("Host", "127.0.0.1")
CLOSE = ("Connection", "close")
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
REFUSED = (0, 400)


def post(*headers: tuple[str, str], target: str = "/v1/captions") -> bytes:
    """Returns the head of a form's request."""
    return head("POST", target, [HOST, CLOSE, ("Content-Type", FORM), *headers])


def _each(server: Server, *requests: bytes, **more: float) -> Played:
    """Sends each request on a connection of its own; a connection that is closed without an answer counts too."""
    answers = []
    for request in requests:
        answers += exchange(server.port, request, timeout=more.get("timeout", 12.0), idle=more.get("idle", 0.0))
    return answers or None


def _alone(server: Server, *requests: bytes) -> Played:
    """Sends requests of which each may have one answer at most, and none that holds the list of models."""
    answers = []
    for request in requests:
        got = exchange(server.port, request, timeout=12.0, idle=1.5)
        if len([answer for answer in got if answer.status == 200]) > 1 or any(b"trained_on" in a.body for a in got):
            raise Breach("a smuggled request was answered")
        answers += got
    return answers or None


# --- lengths ----------------------------------------------------------------------------------------------------


@attack("Content-Length too small", 400, 422, bare=True)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)])
    return _alone(server, post(("Content-Length", str(len(body) // 2))) + body)


@attack("Content-Length too large, then silence", 408, slow=True)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)])
    return exchange(server.port, post(("Content-Length", str(len(body) + 9))) + body, timeout=45.0)


@attack("Content-Length too large, then the connection is half closed", *REFUSED, bare=True)
def _(server: Server) -> Played:
    body = form([(IMAGE, server.photo)])
    return exchange(server.port, post(("Content-Length", str(len(body) + 9))) + body, half_close=True) or None


@attack("Content-Length that is no number", *REFUSED, bare=True)
def _(server: Server) -> Played:
    values = ("-1", "+5", "1e3", "0x10", "5,5", "5, 6", "", " ", "1 2", "٣", "9" * 30, "5;", "\x005")
    return _each(server, *[post(("Content-Length", value)) + b"12345" for value in values])


@attack("Content-Length of an exabyte", 413)
def _(server: Server) -> Played:
    return _each(server, post(("Content-Length", "999999999999999999")) + b"x" * 1000)


@attack("two Content-Lengths", *REFUSED, bare=True)
def _(server: Server) -> Played:
    return _alone(
        server, post(("Content-Length", "5"), ("Content-Length", str(5 + len(SMUGGLED)))) + b"12345" + SMUGGLED
    )


@attack("Content-Length and Transfer-Encoding", 400, 415, 411, bare=True)
def _(server: Server) -> Played:
    chunked = ("Transfer-Encoding", "chunked")
    first = post(("Content-Length", "5"), chunked) + b"0\r\n\r\n" + SMUGGLED
    second = post(chunked, ("Content-Length", str(len(SMUGGLED) + 5))) + b"0\r\n\r\n" + SMUGGLED
    return _alone(server, first, second)


@attack("Transfer-Encodings that servers read differently", 400, 411, 415, 501, bare=True)
def _(server: Server) -> Played:
    values = (
        "xchunked",
        "chunked, identity",
        "identity",
        "gzip, chunked",
        " chunked",
        "chunked\x0b",
        "CHUNKED;a=b",
        "",
    )
    return _alone(server, *[post(("Transfer-Encoding", value)) + b"0\r\n\r\n" + SMUGGLED for value in values])


@attack("headers that servers read differently", *REFUSED, 403, 405, 415, bare=True)
def _(server: Server) -> Played:
    start = b"POST /v1/captions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    lines = (
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b" Content-Length: 5",
        b"X: 1\r\n Content-Length: 5",
        b"Content-Length: 5\nTransfer-Encoding: chunked",
        b"Content\0-Length: 5",
        b"X: a\0b",
        b"X: a\rb",
        b": empty",
        b"no colon",
        b"\xff\xfe: 1",
    )
    return _alone(server, *[start + line + b"\r\n\r\n" + b"12345" + SMUGGLED for line in lines])


@attack("chunks without end", 413)
def _(server: Server) -> Played:
    begin = post(("Transfer-Encoding", "chunked")) + b"10000\r\n--x\r\n" + IMAGE.encode() + b"\r\n\r\n"
    first = begin + b"a" * (0x10000 - len(IMAGE) - 9) + b"\r\n"
    return exchange(server.port, first, *[b"10000\r\n" + b"a" * 0x10000 + b"\r\n"] * 400, timeout=30.0) or None


@attack("a million chunks of one byte", 400, 413, 422, slow=True, bare=True)
def _(server: Server) -> Played:
    chunks = b"1\r\na\r\n" * 1_000_000 + b"0\r\n\r\n"
    return exchange(server.port, post(("Transfer-Encoding", "chunked")) + chunks, timeout=40.0) or None


@attack("sizes of chunks that are none", *REFUSED, 408, 413, bare=True)
def _(server: Server) -> Played:
    sizes = (b"-1", b"+5", b"0x5", b"5 5", b"G", b"FFFFFFFFFFFFFFFFF", b"\xef", b"5\0", b"", b"5;" + b"x" * 100_000)
    begin = post(("Transfer-Encoding", "chunked"))
    return _each(server, *[begin + size + b"\r\nabcde\r\n0\r\n\r\n" for size in sizes], idle=1.5)


@attack("trailers of 1 MB", *REFUSED, 415, 413, 422, bare=True)
def _(server: Server) -> Played:
    return _each(server, post(("Transfer-Encoding", "chunked")) + b"0\r\n" + b"X-Trailer: 1\r\n" * 70_000 + b"\r\n")


# --- headers ----------------------------------------------------------------------------------------------------


@attack("a header of 1 MB", 0, 400, 431, bare=True)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/healthz", [HOST, CLOSE, ("X-Long", "x" * 1_000_000)]))


@attack("a header of 30 kB", 400, 431, bare=True)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/healthz", [HOST, CLOSE, ("X-Long", "x" * 30_000)]))


@attack("10,000 headers", 0, 400, 431, bare=True)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/healthz", [HOST, CLOSE, *[(f"X-{n}", "1") for n in range(10_000)]]))


@attack("a path of 1 MB", 0, 400, 431, bare=True)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/" + "a" * 1_000_000, [HOST, CLOSE]))


@attack("a query of 12 kB", 200)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/healthz?" + "a=b&" * 3000, [HOST, CLOSE]))


@attack("headers without end, one each second", 0, 400, 408, slow=True, bare=True)
def _(server: Server) -> Played:
    begin = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    start = time.monotonic()
    answers = exchange(server.port, begin, *[b"X-Slow: 1\r\n"] * 40, pause=1.0, timeout=60.0)
    if time.monotonic() - start > 35:
        raise Breach("the connection was held")
    return answers or None


@attack("a first line of one letter each second", 0, 400, 408, slow=True, bare=True)
def _(server: Server) -> Played:
    start = time.monotonic()
    answers = exchange(server.port, *[bytes((letter,)) for letter in b"GET /healthz HTTP/1.1" * 2], pause=1.0)
    if time.monotonic() - start > 35:
        raise Breach("the connection was held")
    return answers or None


@attack("a connection that sends nothing", 0, 408, slow=True, bare=True)
def _(server: Server) -> Played:
    with connect(server.port) as connection:
        start = time.monotonic()
        answers = parse(read_all(connection, 40.0))
    if time.monotonic() - start > 35:
        raise Breach("the connection was held")
    return answers or None


@attack("a body of one byte each second", 408, slow=True)
def _(server: Server) -> Played:
    start = time.monotonic()
    letters = [bytes((letter,)) for letter in form([(IMAGE, server.photo)])[:55]]
    answers = exchange(server.port, post(("Content-Length", "5000")), *letters, pause=1.0, timeout=60.0)
    if time.monotonic() - start > 56:
        raise Breach("the connection was held")
    return answers or None


@attack("an answer that is read slowly", 0, 200, slow=True)
def _(server: Server) -> Played:
    """Asks for megabytes on one connection and reads nothing: the server must not keep the answers in memory."""
    request = head("GET", "/openapi.json", [HOST]) * 400
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(3.0)
        connection.connect(("127.0.0.1", server.port))
        try:
            for _ in range(20):
                connection.sendall(request)
        except TimeoutError:
            pass
        time.sleep(3.0)
    return None


# --- first lines and other protocols ------------------------------------------------------------------------------


@attack("first lines that are none", *REFUSED, 404, 405, bare=True)
def _(server: Server) -> Played:
    lines = (
        b"GET",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET /healthz HTTP/1.2 x",
        b"GET /healthz HTTP/11",
        b"GET /healthz http/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\xff\xfe HTTP/1.1",
        b"GET healthz HTTP/1.1",
        b"G\0T /healthz HTTP/1.1",
        b"(){:;} / HTTP/1.1",
        b"\r\n\r\n\r\nGET",
    )
    return _each(server, *[line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" for line in lines], idle=1.0)


@attack("versions of HTTP that do not exist", 200, 400, 505, bare=True)
def _(server: Server) -> Played:
    versions = ("HTTP/2.0", "HTTP/3.0", "HTTP/1.9", "HTTP/0.9")
    return _each(server, *[head("GET", "/healthz", [HOST, CLOSE], version) for version in versions])


@attack("HTTP/0.9", *REFUSED, bare=True)
def _(server: Server) -> Played:
    return exchange(server.port, b"GET /\r\n\r\n", half_close=True) or None


@attack("HTTP/1.0 without Host", 400)
def _(server: Server) -> Played:
    return _each(server, b"GET /v1/models HTTP/1.0\r\n\r\n")


@attack("HTTP/2", *REFUSED, bare=True)
def _(server: Server) -> Played:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    upgrade = [HOST, ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQ")]
    answers = exchange(server.port, head("GET", "/healthz", upgrade), idle=1.0)
    if any(answer.status != 200 for answer in answers):
        raise Breach("an offer to upgrade is not simply ignored")
    return exchange(server.port, preface, half_close=True) or None


@attack("TLS, SSH, SOCKS, Redis, random bytes", *REFUSED, bare=True)
def _(server: Server) -> Played:
    hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(160))
    noise = b"".join(struct.pack("<I", n * 2_654_435_761 % 2**32) for n in range(50_000))
    others = (hello, b"SSH-2.0-x\r\n", b"\5\1\0", b"*1\r\n$4\r\nPING\r\n", noise, b"\0" * 100_000, b"\n" * 100_000)
    answers = []
    for other in others:
        answers += exchange(server.port, other, half_close=True)
    return answers or None


@attack("WebSocket", 400, 403, 404, 426, 501, bare=True)
def _(server: Server) -> Played:
    key = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
    request = head("GET", "/v1/captions", [HOST, ("Connection", "Upgrade"), ("Upgrade", "websocket"), *key])
    answers = exchange(server.port, request + b"\x81\x05hello", idle=1.0)
    # a server without WebSockets ignores the offer: GET is not possible there
    return [answer for answer in answers if answer.status != 405] or server.get("/v1/nothing")


@attack("methods that do not exist here", 400, 405, 404, bare=True)
def _(server: Server) -> Played:
    methods = ("DELETE", "PUT", "PATCH", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "post", "P" * 5000, "GET\x0b")
    return _each(server, *[head(method, "/v1/captions", [HOST, CLOSE, ("Content-Length", "0")]) for method in methods])


@attack("a method in a header or in the query", 405)
def _(server: Server) -> Played:
    override = head("GET", "/v1/captions?_method=POST", [HOST, CLOSE, ("X-HTTP-Method-Override", "POST")])
    return _each(server, override)


@attack("TRACE, which repeats headers", 404, 405)
def _(server: Server) -> Played:
    answers = exchange(server.port, head("TRACE", "/", [HOST, CLOSE, ("Cookie", "session=1234")]))
    if any(b"session=1234" in answer.body for answer in answers):
        raise Breach("headers are repeated")
    return answers


@attack("HEAD with a body of an answer smuggled behind", 200, 400, bare=True)
def _(server: Server) -> Played:
    answers = exchange(server.port, head("HEAD", "/healthz", [HOST, ("Content-Length", "5")]) + b"12345", idle=1.0)
    return [answer for answer in answers if not answer.body] or None


@attack("500 requests on one connection at once", 200)
def _(server: Server) -> Played:
    requests = head("GET", "/healthz", [HOST]) * 499 + head("GET", "/healthz", [HOST, CLOSE])
    answers = exchange(server.port, requests, timeout=30.0)
    if len(answers) != 500:
        raise Breach(f"{len(answers)} of 500 answers")
    return answers


@attack("Expect: 100-continue for a body that is too large", 413)
def _(server: Server) -> Played:
    request = post(("Content-Length", "99999999"), ("Expect", "100-continue"))
    with connect(server.port) as connection:
        connection.sendall(request)
        received = read_all(connection, 12.0)
    if received.startswith(b"HTTP/1.1 100"):
        raise Breach("the body is asked for")
    return parse(received) or None


@attack("Expect: something else", 400, 404, 417, 200, 405, bare=True)
def _(server: Server) -> Played:
    return _each(server, head("GET", "/healthz", [HOST, CLOSE, ("Expect", "the-unexpected")]))


@attack("ranges of bytes", 200, 206, 416)
def _(server: Server) -> Played:
    values = (
        "bytes=0-",
        "bytes=-1",
        "bytes=9-1",
        "bytes=" + ",".join(f"{n}-" for n in range(1000)),
        "bytes=0-" + "9" * 99,
    )
    return _each(server, *[head("GET", "/openapi.json", [HOST, CLOSE, ("Range", value)]) for value in values])
