"""A server of images and of Pixabay's API as it is documented, which also misbehaves."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.service import image_bytes

KEY = "12345678-secret+key/0123456789abcdef"


class ImageServer(ThreadingHTTPServer):
    """``fails`` holds what the next requests of the API get in place of an answer."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.fails = []
        self.hits = None
        self.headers = {}
        self.asked, self.paths = [], []


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):  # noqa: N802
        parts = urlsplit(self.path)
        self.server.paths.append(parts.path)
        if parts.path == "/api/":
            self._api({name: values[0] for name, values in parse_qs(parts.query).items()})
        else:
            getattr(self, "_" + parts.path.strip("/").partition("/")[0].partition(".")[0], self._missing)()

    def _api(self, settings):
        self.server.asked.append(settings)
        if self.server.fails:
            self.server.fails.pop(0)(self)
        elif settings.get("key") != KEY:
            self.answer(400, b"[ERROR 400] Invalid or missing API key (https://pixabay.com/api/docs/).", "text/plain")
        else:
            hits = self.server.hits
            if hits is None:
                hits = [photo(self.server, number) for number in range(int(settings["per_page"]))]
            body = json.dumps({"total": 4692, "totalHits": 500, "hits": hits}).encode()
            self.answer(200, body, "application/json", self.server.headers)

    def answer(self, status, body, kind="image/png", headers=()):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _red(self):
        self.answer(200, image_bytes((200, 20, 20)))

    def _blue(self):
        self.answer(200, image_bytes((20, 20, 200)))

    def _missing(self):
        self.answer(404, b"no such file", "text/plain")

    def _moved(self):
        self.answer(302, b"", headers={"Location": "/red.png"})

    def _local(self):
        self.answer(302, b"", headers={"Location": "file:///etc/passwd"})

    def _circle(self):
        self.answer(302, b"", headers={"Location": "/circle"})

    def _page(self):
        self.answer(200, b"<html>not an image</html>", "text/html")

    def _broken(self):
        self.answer(200, image_bytes((1, 2, 3))[:-20], headers={"Content-Length": "99999"})

    def _endless(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b"\0" * 65536)

    def _slow(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"\0")
                self.wfile.flush()
                time.sleep(0.05)

    def _drip(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        self._on_and_on(b"x")

    def _trailers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        self._on_and_on(b"X: y\r\n")

    def _on_and_on(self, data):
        with contextlib.suppress(OSError):
            for _ in range(400):
                self.wfile.write(data)
                self.wfile.flush()
                time.sleep(0.05)

    def _superscript(self):
        self.answer(429, b"", headers={"Retry-After": "\u00b2"})

    def _garbage(self):
        self.wfile.write(b"\0\1\2 this is not HTTP\r\n\r\n")

    def _empty(self):
        self.answer(200, b"")


def photo(server, number):
    """Returns a hit of the API, with the fields that it documents."""
    colour = ("red", "blue")[number % 2]
    return {
        "id": 195893 + number,
        "pageURL": f"https://pixabay.com/photos/blossom-bloom-flower-{195893 + number}/",
        "type": "photo",
        "tags": f"{colour}, blossom",
        "webformatURL": f"{server.address}/{colour}.png?expires={number}",
        "webformatWidth": 640,
        "webformatHeight": 360,
        "user_id": 48777,
        "user": "Josch13",
    }


@contextlib.contextmanager
def image_server():
    """Runs the server; yields it."""
    server = ImageServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
