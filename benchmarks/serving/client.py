"""The clients, in a process of their own: threads that send one request after the other over connections of their own.

Reads a job from standard input, as JSON: ``target``, ``port``, ``clients``, ``count`` and ``paths``, the images, which
are sent in turn. Writes, as JSON: the seconds from the first request to the last answer, the CPU seconds of this
process, and for each request its seconds, its status and its answer.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.serving.wire import TARGETS

TIMEOUT = 60


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Sends the requests of a job."""
    target = TARGETS[job["target"]]
    requests = [target.request(Path(path).read_bytes()) for path in job["paths"]]
    numbers = iter(range(job["count"]))
    lock, ready = threading.Lock(), threading.Barrier(job["clients"] + 1)
    done: list[tuple[int, float, int, bytes]] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", job["port"], timeout=TIMEOUT)
        connection.connect()
        ready.wait()
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            request = requests[number % len(requests)]
            start = time.perf_counter()
            try:
                connection.request("POST", target.path, request.body, {"Content-Type": request.content_type})
                response = connection.getresponse()
                status, content = response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status, content = 0, str(error).encode()
            done.append((number, time.perf_counter() - start, status, content))
        connection.close()

    threads = [threading.Thread(target=client, daemon=True) for _ in range(job["clients"])]
    for thread in threads:
        thread.start()
    ready.wait()
    start, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    answers = [
        {
            "image": number % len(requests),
            "seconds": seconds,
            "status": status,
            "answer": target.answer(json.loads(content)) if status == 200 else None,
        }
        for number, seconds, status, content in done
    ]
    return {"wall": wall, "cpu": cpu, "answers": answers}


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
