"""The server as a process: signals while requests are in flight, models that load slowly or not at all."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.service import image_bytes

IMAGE = image_bytes()


@contextlib.contextmanager
def server(*arguments):
    """Starts a process; yields it and its port."""
    command = [sys.executable, "-m", "tests.support.slow_server", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), process.stderr.read()
        yield process, int(line.strip().rsplit(":", 1)[1])
    finally:
        process.kill()
        process.communicate()


def ask(port, path, body=None, headers=(), method=None):
    """Returns status, headers and JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method or ("POST" if body else "GET"), path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read() or b"null")
    finally:
        connection.close()


def caption(port, images=1):
    boundary = "b0undary"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
    body = b"".join(part + IMAGE + b"\r\n" for _ in range(images)) + f"--{boundary}--\r\n".encode()
    return ask(port, "/v1/captions", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}.items())


def wait_ready(port):
    end = time.monotonic() + 30
    while ask(port, "/readyz")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.02)


def in_background(count, port, images=1):
    """Starts requests in threads; returns the threads and the list that receives their results."""
    results = []

    def run():
        try:
            results.append(caption(port, images))
        except (OSError, http.client.HTTPException) as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def wait_for_work(port, images):
    """Waits until so many images were accepted."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        if any(
            line.startswith("capsmith_queue_images{") and float(line.split()[-1]) >= images for line in text.split("\n")
        ):
            return
        time.sleep(0.02)
    raise AssertionError("the requests were not accepted")


def test_sigterm_while_requests_are_in_flight_answers_all_of_them():
    with server(0.05, 0) as (process, port):
        wait_ready(port)
        threads, results = in_background(8, port, images=3)
        wait_for_work(port, 20)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert process.wait(30) == 0
        with pytest.raises(OSError):
            ask(port, "/healthz")
    assert [result[0] for result in results] == [200] * 8
    assert all(len(result[2]["results"]) == 3 for result in results)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_idle_server_ends_at_once(number):
    with server(0, 0) as (process, port):
        wait_ready(port)
        idle = http.client.HTTPConnection("127.0.0.1", port)
        idle.request("GET", "/healthz")
        idle.getresponse().read()  # and the connection stays open
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0 and time.monotonic() - start < 3
        assert process.stderr.read() == ""
        idle.close()


def test_a_second_ctrl_c_ends_the_process_at_once():
    with server(5, 0) as (process, port):
        wait_ready(port)
        threads, _ = in_background(2, port)
        wait_for_work(port, 2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 128 + signal.SIGINT and time.monotonic() - start < 2
        for thread in threads:
            thread.join(30)


def test_the_end_does_not_wait_longer_than_its_timeout():
    with server(1, 0, "shutdown_timeout=1") as (process, port):
        wait_ready(port)
        threads, results = in_background(6, port)
        wait_for_work(port, 6)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0 and time.monotonic() - start < 5
        for thread in threads:
            thread.join(30)
    statuses = [result[0] for result in results]
    assert sorted(set(statuses)) == [200, 503] and len(statuses) == 6


def test_requests_wait_for_models_that_are_loading():
    with server(0, 2) as (_, port):
        assert ask(port, "/healthz")[0] == 200
        status, headers, _ = ask(port, "/readyz")
        assert status == 503
        status, headers, content = caption(port)
        assert (status, content["status"]) == (503, 503) and int(headers["retry-after"]) >= 1
        wait_ready(port)
        assert caption(port)[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        assert 'capsmith_batch_images_count{model="quick",stage="search"} 1.0' in text


def test_a_model_that_cannot_be_loaded_ends_the_server():
    with server(0, -0.5) as (process, port):
        assert process.wait(20) == 1  # the command line makes it one line and exit code 2
        assert "CheckpointError: the weights are damaged" in process.stderr.read()


def test_a_signal_while_the_models_load_ends_the_process():
    with server(0, 30) as (process, port):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


# --- the command line -------------------------------------------------------------------------------------------------


def run_serve(*arguments, cwd=None):
    command = [sys.executable, "-m", "capsmith", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, env=os.environ)


def test_the_command_serves_the_starter_and_says_where():
    command = [sys.executable, "-m", "capsmith", "serve", "one=starter", "two=starter", "--port", "0", "--verbose"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("serving one, two at http://127.0.0.1:")
        port = int(line.strip().rsplit(":", 1)[1])
        wait_ready(port)
        status, headers, content = caption(port, 2)
        assert (status, content["model"], len(content["results"])) == (200, "one", 2)
        assert "server" not in headers
        assert [model["name"] for model in ask(port, "/v1/models")[2]["models"]] == ["one", "two"]
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
        assert (process.returncode, rest) == (0, "")
        assert "POST /v1/captions 200" in errors and "a.png" not in errors
    finally:
        process.kill()
        process.communicate()


def test_a_damaged_model_is_one_line_and_exit_code_2(tmp_path):
    import shutil

    from capsmith.core.starter import has_starter, starter_folder

    if not has_starter():
        pytest.skip("this installation has no starter")
    shutil.copytree(starter_folder(), tmp_path / "broken")
    (tmp_path / "broken" / "step.onnx").write_bytes(b"x" * (tmp_path / "broken" / "step.onnx").stat().st_size)
    done = run_serve(tmp_path / "broken", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.startswith("capsmith: ") and "step.onnx" in done.stderr and done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line_and_exit_code_2():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as used:
        done = run_serve("starter", "--port", used.getsockname()[1])
    assert (done.returncode, done.stdout) == (2, "")
    assert "is in use" in done.stderr and done.stderr.count("\n") == 1
