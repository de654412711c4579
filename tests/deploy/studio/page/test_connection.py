"""The studio's page while its server is killed, restarted, refuses, or another window edits: no edit is lost."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.deploy.studio.page.window import stored, studio_over


@contextlib.contextmanager
def process(folder, port):
    """Runs the studio in a process; it is killed at the end."""
    command = [sys.executable, "-m", "tests.support.studio", str(folder), str(port)]
    running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/studio/progress", timeout=1).read()
                break
            assert running.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        yield running
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_server_killed_in_the_middle_of_edits_loses_none(open_window, folder):
    port = free_port()
    texts = {name: f"caption number {number}" for number, name in enumerate(("a.png", "b.png", "c.png"))}
    with process(folder, port) as server:
        window = open_window(f"http://127.0.0.1:{port}")
        for name in ("a.png", "b.png"):
            window.press("Enter")
            window.write(texts[name])
            window.press("Enter")
            if name == "a.png":
                window.saved()
        server.send_signal(signal.SIGKILL)  # the second edit may have arrived, or its answer may be lost
        server.wait()
        assert stored(folder)["a.png"] == (texts["a.png"], "edited")
        window.press("Enter")
        window.write(texts["c.png"])
        window.press("Enter", "Enter")
        window.write("not finished")
        window.settle("c.png", "waiting")
        assert window.page.locator("#gone").is_visible()
        assert (window.caption("b.png"), window.caption("c.png")) == (texts["b.png"], texts["c.png"])
    with process(folder, port):
        window.none(".cell:not([data-save=saved], :has(textarea))")
        window.until(lambda: not window.page.locator("#gone").is_visible())
        assert window.page.input_value("textarea.editor") == "not finished"
        window.press("Enter")
        window.saved()
        window.reload()
        found = stored(folder)
        assert found == {name: (text, "edited") for name, text in texts.items()} | {"d.png": ("not finished", "edited")}
        assert [window.caption(name) for name in found] == [caption for caption, _ in found.values()]


def test_edits_made_without_a_server_outlive_a_reload(open_window, folder):
    port = free_port()
    with process(folder, port):
        window = open_window(f"http://127.0.0.1:{port}")
    window.press("Enter")
    window.write("kept in the window")
    window.press("Enter")
    window.settle("a.png", "waiting")
    with process(folder, port):
        window.page.goto(window.address)
        window.ready()
        window.saved()
        assert window.caption("a.png") == "kept in the window"
        assert stored(folder)["a.png"] == ("kept in the window", "edited")


def test_a_page_opened_before_its_server_waits_for_it(open_window, folder):
    with studio_over(folder) as address:
        window = open_window(address)
        window.page.route("**/v1/studio/progress", lambda route: route.abort())
        window.page.reload()
        window.page.locator("#gone").wait_for()
        window.page.unroute("**/v1/studio/progress")
        window.ready()
        assert not window.page.locator("#gone").is_visible()


def test_an_edit_whose_answer_was_lost_is_no_conflict(open_window, address, folder):
    window = open_window(address)

    def lose(route):
        if route.request.method == "PUT" and not lost:
            lost.append(route.fetch().status)  # the server saves it
            route.abort()
        else:
            route.continue_()

    lost = []
    window.page.route("**/v1/studio/images/1", lose)
    window.press("Enter")
    window.write("saved but not answered")
    window.press("Enter")
    window.until(lambda: lost == [200])
    window.saved()
    assert window.page.locator("#notices .button").count() == 0
    assert stored(folder)["a.png"] == ("saved but not answered", "edited")


def test_a_conflict_shows_both_versions(open_window, address, folder):
    mine = open_window(address)
    other = open_window(address)
    other.press("Enter")
    other.write("from the other window")
    other.press("Enter")
    other.saved()
    mine.press("Enter")
    mine.write("from <b>my</b> window")
    mine.press("Enter")
    mine.settle("a.png", "conflict")
    assert stored(folder)["a.png"] == ("from the other window", "edited")
    mine.go("a.png")
    mine.press("Enter")
    assert mine.page.text_content("#conflict-mine") == "from <b>my</b> window"
    assert mine.page.text_content("#conflict-theirs") == "from the other window"
    mine.page.keyboard.press("Escape")
    assert mine.save("a.png") == "conflict"
    mine.page.click("#notices .button")
    mine.page.click("#conflict [value=mine]")
    mine.saved()
    assert stored(folder)["a.png"] == ("from <b>my</b> window", "edited")

    other.go("a.png")
    other.press("u")  # it does not know of the newer version
    other.settle("a.png", "conflict")
    other.cell("a.png").locator(".cell-save").click()
    other.page.click("#conflict [value=theirs]")
    other.saved()
    assert other.caption("a.png") == "from <b>my</b> window"
    assert stored(folder)["a.png"] == ("from <b>my</b> window", "edited")


def test_a_draft_is_not_saved_over_what_another_window_wrote(open_window, address, folder):
    mine = open_window(address)
    mine.press("Enter")
    mine.write("my draft")
    other = open_window(address)
    other.press("Enter")
    other.write("theirs")
    other.press("Enter")
    other.saved()
    mine.reload()  # shows what the other wrote, and the draft in the field
    assert mine.page.input_value("textarea.editor") == "my draft"
    mine.press("Shift+Enter")
    mine.settle("a.png", "conflict")
    assert stored(folder)["a.png"] == ("theirs", "edited")


def test_a_second_edit_before_the_first_is_saved_is_no_conflict(open_window, address, folder):
    window = open_window(address)
    held = []
    window.page.route("**/v1/studio/images/1", lambda route: held.append(route))
    window.press("Enter")
    window.write("first")
    window.press("Shift+Enter", "Enter")
    window.write("second")
    window.until(lambda: held)
    held[0].continue_()
    window.page.unroute("**/v1/studio/images/1")
    window.until(lambda: stored(folder)["a.png"] == ("first", "edited"))
    window.until(lambda: "Saved" in window.said)
    window.press("Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("second", "edited")


def test_a_refused_edit_says_why_and_keeps_the_text(open_window, address, folder):
    window = open_window(address)
    window.press("Enter", "ControlOrMeta+a")
    window.page.keyboard.insert_text("a mark\ufeff in it")
    window.press("Enter")
    window.settle("a.png", "refused")
    assert "FEFF" in window.cell("a.png").locator(".cell-save").text_content()
    assert stored(folder)["a.png"] == ("a red picture", "proposed")
    window.go("a.png")
    window.press("Enter")
    assert window.page.input_value("textarea.editor") == "a mark\ufeff in it"
    window.write("no mark in it")
    window.press("Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("no mark in it", "edited")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble(open_window, address, folder, status):
    window = open_window(address)
    answers = [status, status]

    def fail(route):
        if route.request.method == "PUT" and answers:
            body = '{"title": "Trouble", "status": 503, "detail": "the disk is full"}'
            route.fulfill(status=answers.pop(), content_type="application/problem+json", body=body)
        else:
            route.continue_()

    window.page.route("**/v1/studio/images/1", fail)
    window.press("Enter")
    window.write("kept")
    window.press("Enter")
    window.until(lambda: len(answers) < 2)
    if status == 500:  # not worth another try without the person
        window.settle("a.png", "refused")
        answers.clear()
        window.go("a.png")
        window.press("Enter", "Enter")
    window.saved()
    assert stored(folder)["a.png"] == ("kept", "edited")
