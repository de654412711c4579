"""Starts servers on loopback, waits for their first answer, and reads CPU time and memory of their processes."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import psutil

from benchmarks.serving.wire import Request

LONGEST_START = 120.0


@dataclass
class Server:
    """A server that runs.

    Attributes:
        process: Its first process.
        port: Its port on 127.0.0.1.
        log: What it has written.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    log: IO[bytes]

    def post(self, path: str, request: Request, timeout: float = 60) -> tuple[int, bytes]:
        """Sends one request over a new connection; returns the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", path, request.body, {"Content-Type": request.content_type})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait(self, path: str, request: Request, pause: float = 0.05) -> bytes:
        """Repeats a request until it is answered; returns the answer.

        Raises:
            RuntimeError: The server has ended, or is not ready in time.
        """
        end = time.monotonic() + LONGEST_START
        problem: object = ""
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server has ended:\n{self.tail()}")
            try:
                status, body = self.post(path, request)
                if status == 200:
                    return body
                problem = status, body[:500]
                if status not in (404, 503):
                    break
            except (OSError, http.client.HTTPException) as error:
                problem = error
            time.sleep(pause)
        raise RuntimeError(f"the server does not answer: {problem}\n{self.tail()}")

    def tail(self) -> str:
        """Returns the end of what it has written."""
        self.log.seek(0)
        return self.log.read()[-3000:].decode(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Returns its processes."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu(self) -> float:
        """Returns the CPU seconds of all its processes so far."""
        total = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> int:
        """Returns the resident bytes of all its processes."""
        total = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def stop(self) -> int | None:
        """Asks it to end, and kills what is left after some seconds; returns its exit code."""
        left = self.processes() if self.process.poll() is None else []
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        _, alive = psutil.wait_procs(left, timeout=5)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)
        return self.process.returncode


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: Sequence[str], port: int, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Runs a server, which is stopped in the end.

    Args:
        command: The command, which listens on the port.
        port: The port.
        env: Changes to the environment.
    """
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            list(command),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=home if env and env.get("OWN_FOLDER") else None,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        server = Server(process, port, log)
        try:
            yield server
        finally:
            server.stop()
