"""The servers that are attacked: ``capsmith serve`` and ``capsmith studio`` in processes of their own."""

import base64
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.attacks.wire import Answer, disposition, exchange, form, head

KEY = "a-good-key-0123456789abcdef"
"""The API key of a server that has one."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
COMMAND = (sys.executable, "-m", "capsmith")
FINDING = (sys.executable, "-m", "tests.support.finding_command")
"""The same with an embedding of colours in place of every run."""
ROOT = Path(__file__).resolve().parents[2]
_START = 60.0  # seconds
NAME_IN_LOG = "name-of-a-private-photo"
"""A part of file names that must not appear in the log."""


def photo() -> bytes:
    """Returns a JPEG of 320 × 240 pixels."""
    image = Image.new("RGB", (320, 240), (150, 190, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 150, 320, 240), fill=(70, 130, 60))
    draw.ellipse((110, 110, 210, 200), fill=(120, 80, 40))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


class Server:
    """A running server.

    Attributes:
        port: Its port.
        folder: A folder of this server: logs, and images of a studio.
        photo: A good image, whose caption is ``caption``.
        seconds: Time that the last good caption took.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path, keyed: bool = False) -> None:
        self.process, self.port, self.folder, self.keyed = process, port, folder, keyed
        self.photo = photo()
        self.seconds = 0.0
        self._log_read = 0
        answer = self.upload(self.photo)
        assert answer is not None and answer.status == 200, answer
        self.caption = json.loads(answer.body)["results"][0]["caption"]
        for _ in range(5):
            self.good_caption(30.0)
        self.base = self.resident()

    # requests -----------------------------------------------------------------------------------------------------

    def request(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str | None] | None = None, **more: Any
    ) -> Answer | None:
        """Sends a request in good form; a header that is None is left out. Returns the answer, or None."""
        own: dict[str, str | None] = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        if self.keyed:
            own["Authorization"] = f"Bearer {KEY}"
        if body or method in ("POST", "PUT"):
            own["Content-Length"] = str(len(body))
        own |= headers or {}
        lines = [(name, value) for name, value in own.items() if value is not None]
        answers = exchange(self.port, head(method, target, lines) + body, **more)
        return answers[0] if answers else None

    def get(self, target: str, /, **headers: str | None) -> Answer | None:
        """Gets a path; underscores in names of headers are hyphens."""
        return self.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, body: bytes, kind: str, target: str = "/v1/captions", method: str = "POST") -> Answer | None:
        """Sends a body of some type."""
        return self.request(method, target, body, {"Content-Type": kind}, timeout=90.0)

    def parts(self, *parts: tuple[str, bytes]) -> Answer | None:
        """Sends a form of parts: headers and content."""
        return self.send(form(parts), "multipart/form-data; boundary=x")

    def upload(self, /, *images: bytes, name: str = f"{NAME_IN_LOG}.jpg", **fields: str) -> Answer | None:
        """Uploads images, with further fields."""
        more = [(disposition(field), text.encode("utf-8", "surrogatepass")) for field, text in fields.items()]
        return self.parts(*((disposition("image", name), image) for image in images), *more)

    def json(self, document: Any, target: str = "/v1/captions", method: str = "POST") -> Answer | None:
        """Sends JSON; bytes are sent as they are."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.send(raw, "application/json", target, method)

    def options(self, /, **fields: Any) -> Answer | None:
        """Asks for a caption of the good photo, by JSON."""
        return self.json({"images": [base64.b64encode(self.photo).decode()], **fields})

    def raw(self, *parts: bytes, **more: Any) -> list[Answer] | None:
        """Sends bytes; returns the answers, or None if there is none."""
        return exchange(self.port, *parts, **more) or None

    # checks -------------------------------------------------------------------------------------------------------

    def good_caption(self, patience: float) -> list[str]:
        """Captions the good photo, again if the server is still busy; returns what is wrong."""
        start = time.monotonic()
        while True:
            wrong = self._captioned()
            self.seconds = time.monotonic() - start
            if not wrong and self.seconds > patience:
                return [f"afterwards: {self.seconds:.1f} s"]
            if not wrong or self.seconds > patience:
                return wrong
            time.sleep(0.1)

    def _captioned(self) -> list[str]:
        try:
            answer = self.upload(self.photo)
        except OSError as error:
            return [f"afterwards: no connection ({error})"]
        if answer is None or answer.status != 200:
            return [f"afterwards: {'no answer' if answer is None else answer.status}"]
        caption = json.loads(answer.body)["results"][0]["caption"]
        return [] if caption == self.caption else ["afterwards: another caption"]

    def resident(self) -> int:
        """Returns the memory that the server takes, in bytes."""
        return self._status("VmRSS")

    def reset_peak(self) -> None:
        """Forgets the most memory so far."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Returns the most memory since ``reset_peak``, in bytes above that before the first attack."""
        return self._status("VmHWM") - self.base

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def log(self) -> str:
        """Returns all that the server has written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="backslashreplace")

    def log_faults(self) -> list[str]:
        """Returns what is wrong with what the server wrote since the last call."""
        text = self.log()
        new, self._log_read = text[self._log_read :], len(text)
        wrong = {
            "Traceback": "a traceback in the log",
            NAME_IN_LOG: "a file name in the log",
            KEY: "the key in the log",
            "guessed-key": "a guessed key in the log",
            "injected": "an injected line in the log",
            "\x1b": "an escape sequence in the log",
        }
        return [fault for text, fault in wrong.items() if text in new]

    def stop(self) -> int:
        """Ends the server as an operator does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def running(
    verb: str = "serve",
    arguments: Sequence[str] = (),
    folder: Path | None = None,
    program: Sequence[str] = COMMAND,
) -> Iterator[Server]:
    """Starts ``capsmith VERB`` on a free port; yields it as soon as its models are loaded."""
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        command = [*program, verb, "--port", "0", *arguments]
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=place, env=_environment())
        try:
            port = _port(process, place / "log")
            yield Server(process, port, place, keyed="--api-key-file" in arguments)
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Waits until the models are loaded; returns the port."""
    end = time.monotonic() + _START
    while time.monotonic() < end and process.poll() is None:
        if found := _ADDRESS.search(log.read_text(errors="replace")):
            request = head("GET", "/readyz", [("Host", "127.0.0.1"), ("Connection", "close")])
            with contextlib.suppress(OSError):
                answers = exchange(int(found[1]), request)
                if answers and answers[0].status in (200, 401):
                    return int(found[1])
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
