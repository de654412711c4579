"""HTTP over plain sockets: sends any bytes, in any pieces, and reads what comes back."""

import contextlib
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One HTTP answer.

    Attributes:
        status: Its status.
        headers: Names in lower case and values.
        body: Its body, without the framing of chunks.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Returns a header, or an empty text."""
        return next((value for key, value in self.headers if key == name), "")


def connect(port: int, timeout: float = 10.0) -> socket.socket:
    """Returns a connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout)


def exchange(
    port: int, *parts: bytes, pause: float = 0.0, timeout: float = 15.0, idle: float = 0.0, half_close: bool = False
) -> list[Answer]:
    """Sends pieces, whether or not the server still reads, and returns all answers.

    Args:
        port: The server's port.
        parts: The pieces.
        pause: Seconds between two pieces.
        timeout: Seconds for everything.
        idle: Seconds of silence after which an open connection has nothing more to say; 0 waits until it is closed.
        half_close: Close our side after the last piece.
    """
    received = b""
    with connect(port, timeout) as connection:
        with contextlib.suppress(OSError):
            for number, part in enumerate(parts):
                if number and pause:
                    time.sleep(pause)
                connection.sendall(part)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        received = read_all(connection, timeout, idle)
    return parse(received)


def read_all(connection: socket.socket, timeout: float, idle: float = 0.0) -> bytes:
    """Returns what arrives until the server closes the connection, or the time is over."""
    end = time.monotonic() + timeout
    received = bytearray()
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(min(left, idle) if idle and received else left)
        try:
            piece = connection.recv(1 << 16)
        except OSError:  # a timeout, or a reset
            break
        if not piece:
            break
        received += piece
    return bytes(received)


def parse(received: bytes) -> list[Answer]:
    """Returns the answers in a stream of bytes; interim answers (1xx) are left out."""
    answers = []
    while received.startswith(b"HTTP/1.") and b"\r\n\r\n" in received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        answer = Answer(int(first.split()[1]), headers)
        if answer.status < 200:
            continue
        if answer.header("transfer-encoding").lower() == "chunked":
            answer.body, received = _chunks(received)
        elif answer.header("content-length"):
            size = int(answer.header("content-length"))
            answer.body, received = received[:size], received[size:]
        else:
            answer.body, received = (b"", received) if answer.status in (204, 304) else (received, b"")
        answers.append(answer)
    return answers


def _chunks(received: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, found, rest = received.partition(b"\r\n")
        if not found:
            return body, b""
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return body, rest.partition(b"\r\n")[2]
        body, received = body + rest[:size], rest[size + 2 :]


def head(method: str, target: str, headers: Iterable[tuple[str, str]] = (), version: str = "HTTP/1.1") -> bytes:
    """Returns the first line and the headers of a request, without any check."""
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def form(parts: Iterable[tuple[str, bytes]], boundary: str = "x") -> bytes:
    """Returns a multipart body of parts: their headers, as text, and their content."""
    marked = (f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n" for headers, content in parts)
    return b"".join(marked) + f"--{boundary}--\r\n".encode()


def disposition(name: str, file_name: str | None = None) -> str:
    """Returns the header of a part, with the names as they are."""
    file = "" if file_name is None else f'; filename="{file_name}"'
    return f'Content-Disposition: form-data; name="{name}"{file}'
