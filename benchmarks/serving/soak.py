"""Minutes of mixed load: lost and wrong answers, and the memory of the server.

    python -m benchmarks.serving soak [MODEL] [--minutes 30] [--clients 6] [--write part.json]

Clients send one image or several, as forms and as JSON, with ten kinds of options, with and without attention maps, to
``/v1/captions`` and ``/model/predict``; a fifth of the requests is wrong and must be refused; one client in twelve goes
away in the middle of its upload or before its answer. Every caption, probability and map is compared with that of the
same captioner without a server. An answer is lost if a request that was sent in full has none, or an error of the
server; 429 and 503 are answers after which the request is sent again. The memory is that of all processes of the
server, by minute; its growth is that from the end of the warm-up to the end. Ctrl-C ends early, with a report.
"""

import argparse
import http.client
import json
import random
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.serving.mix import OPTIONS, Ask, Mix
from benchmarks.serving.servers import Server, free_port, serving
from benchmarks.serving.throughput import PHOTOS, command_of, environment, in_process, photographs
from benchmarks.serving.wire import TARGETS

TIMEOUT = 90
_TRIES = 20
_SAMPLE = 2.0  # seconds between two readings of the memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("model", nargs="?", default="starter", help="a run or an export; by default the starter")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--images", type=int, default=40, help="different photographs")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm-up", type=float, metavar="MINUTES", help="by default a tenth, at least one")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")


class Tally:
    """Counts, shared by the clients."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def add(self, *names: str, by: int = 1) -> None:
        """Counts an event under each name."""
        with self.lock:
            for name in names:
                self.counts[name] += by

    def fault(self, kind: str, message: str) -> None:
        """Counts a fault, and keeps the first messages."""
        self.add(kind)
        with self.lock:
            if len(self.faults) < 20:
                self.faults.append(f"{kind}: {message}")


def measure(args: argparse.Namespace) -> int:
    """Runs the load, prints a line a minute and a report; returns 1 if an answer was lost or wrong."""
    paths = photographs(args.photos, args.images)
    images = [Path(path).read_bytes() for path in paths]
    job = {"model": args.model, "paths": paths, "options": OPTIONS}
    expected = in_process([sys.executable, "-m", "benchmarks.serving.offline"], job)
    port, tally, stop = free_port(), Tally(), threading.Event()
    memory: list[tuple[float, int]] = []
    command = command_of("capsmith", args.model, port, args)
    with serving(command, port, environment(MODEL=args.model)) as server:
        server.wait("/v1/captions", TARGETS["capsmith"].request(images[0]))
        threads = [
            threading.Thread(target=_client, args=(server, Mix(images, expected, args.seed + n), tally, stop, n))
            for n in range(args.clients)
        ]
        for thread in threads:
            thread.start()
        with suppress(KeyboardInterrupt):
            _watch(server, args.minutes, tally, memory)
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT + 10)
        alive = server.process.poll() is None
        ended = server.stop()
        if not alive or ended not in (0, -15):
            tally.fault("lost", f"the server ended with {ended}:\n{server.tail()}")
    return _report(args, tally, memory)


def _client(server: Server, mix: Mix, tally: Tally, stop: threading.Event, number: int) -> None:
    rng = random.Random(1000 + number)
    connection: http.client.HTTPConnection | None = None
    while not stop.is_set():
        if rng.random() < 1 / 12:
            _leave(server, mix.good(), rng)
            tally.add("left")
            continue
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
        if not _answered(connection, mix.any(), tally):
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def _answered(connection: http.client.HTTPConnection, ask: Ask, tally: Tally) -> bool:
    """Sends a request until it is answered by other than 429 or 503, and checks it; returns whether it was answered."""
    for _ in range(_TRIES):
        try:
            status, headers, body = _send(connection, ask)
        except (OSError, http.client.HTTPException) as error:
            tally.fault("lost", f"{ask.kind} {ask.path}: {type(error).__name__} {error}")
            return False
        if status not in (429, 503):
            break
        tally.add("sent again")
        time.sleep(min(5.0, float(headers.get("Retry-After") or 1)))
    tally.add("requests", ask.kind)
    if status >= 500 or status == 429:
        tally.fault("lost", f"{ask.kind} {ask.path}: status {status} {body[:200]!r}")
        return True
    try:
        problem = ask.check(status, headers.get("Content-Type", ""), body)
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{type(error).__name__}: {error}: {body[:200]!r}"
    if problem:
        tally.fault("wrong", f"{ask.kind} {ask.path}: {problem}")
    tally.add("captions", by=ask.images)
    return True


def _send(connection: http.client.HTTPConnection, ask: Ask) -> tuple[int, Any, bytes]:
    headers = dict(ask.headers)
    if ask.request is not None:
        headers["Content-Type"] = ask.request.content_type
    connection.request(ask.method, ask.path, ask.request.body if ask.request else None, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def _leave(server: Server, ask: Ask, rng: random.Random) -> None:
    """Sends a request in part or in full, and closes the connection before the answer."""
    body = ask.request.body if ask.request else b""
    kind = f"Content-Type: {ask.request.content_type}\r\n" if ask.request else ""
    head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
    sent = head.encode() + body
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent[: rng.choice([len(sent), len(sent), rng.randrange(len(sent) + 1)])])
        time.sleep(rng.choice([0, 0.005, 0.03]))


def _watch(server: Server, minutes: float, tally: Tally, memory: list[tuple[float, int]]) -> None:
    """Reads the memory until the time is over or the server has ended, and prints a line a minute."""
    start = time.monotonic()
    shown = 0
    while (passed := time.monotonic() - start) < 60 * minutes and server.process.poll() is None:
        memory.append((passed / 60, server.memory()))
        if int(passed / 60) > shown:
            shown = int(passed / 60)
            counts = tally.counts
            print(
                f"minute {shown}: {memory[-1][1] / 1e6:.0f} MB, {counts['requests']} requests, {counts['captions']} "
                f"captions, {counts['lost']} lost, {counts['wrong']} wrong",
                flush=True,
            )
        time.sleep(min(_SAMPLE, max(0.05, 60 * minutes - passed)))


def growth(memory: list[tuple[float, int]], warm_up: float) -> float:
    """Returns by which share the memory has grown.

    Args:
        memory: Minute and bytes of each reading.
        warm_up: Minutes before the first one that counts. The mean of the first fifth after it is compared with that
            of the last fifth.
    """
    rest = [size for minute, size in memory if minute >= warm_up] or [size for _, size in memory]
    part = max(1, len(rest) // 5)
    return statistics.mean(rest[-part:]) / statistics.mean(rest[:part]) - 1


def _report(args: argparse.Namespace, tally: Tally, memory: list[tuple[float, int]]) -> int:
    minutes = memory[-1][0] if memory else 0.0
    warm_up = args.warm_up if args.warm_up is not None else max(1.0, minutes / 10)
    for minute in range(int(minutes) + 1):
        sizes = [size for at, size in memory if minute <= at < minute + 1]
        if sizes:
            print(
                f"memory in minute {minute + 1}: {statistics.mean(sizes) / 1e6:.1f} MB, at most {max(sizes) / 1e6:.1f}"
            )
    print(", ".join(f"{name} {count}" for name, count in sorted(tally.counts.items())))
    for fault in tally.faults:
        print(fault)
    figures = {
        "serve.lost": tally.counts["lost"],
        "serve.wrong": tally.counts["wrong"],
        "serve.memory_growth": round(growth(memory, warm_up), 4) if memory else 0.0,
    }
    print(json.dumps(figures))
    if args.write:
        counts = tally.counts
        note = (
            f"in {minutes:.0f} minutes of mixed load: {counts['requests']} requests, {counts['captions']} captions, "
            f"{counts['bad']} bad requests, {counts['left']} clients that went away"
        )
        command = f"python -m benchmarks.serving soak {args.model} --minutes {args.minutes:g}"
        part = {name: {"value": value, "unit": "", "command": command, "note": note} for name, value in figures.items()}
        args.write.write_text(json.dumps(part, indent=2) + "\n", encoding="utf-8")
    return int(bool(tally.counts["lost"] or tally.counts["wrong"]))
