"""Drives the page of a web export in Debian's or another installed Chromium, through Playwright."""

import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FINISHED = "n => document.querySelectorAll('.card:not([data-state=waiting])').length === n"
_CARDS = """cards => cards.map(card => ({
    state: card.dataset.state,
    text: card.querySelector('.caption').textContent,
    score: Number(card.dataset.score),
    milliseconds: JSON.parse(card.dataset.milliseconds ?? '{}'),
    others: Array.from(card.querySelectorAll('.others li'), item => item.firstChild.textContent),
    alt: card.querySelector('img').alt,
}))"""


def chromium() -> str | None:
    """Returns the path of an installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Yields a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Writes nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Writes nothing: a browser that leaves a page closes its connections."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on a free port of this machine; yields the address without a slash at its end."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Shown:
    """What the page shows for one image.

    Attributes:
        state: ``captioned`` or ``refused``.
        text: The caption, or why there is none.
        score: Score of the caption.
        milliseconds: Time of ``decode``, ``encoder``, ``search`` and ``total``.
        others: The other captions, best first.
        alt: Alternative text of the image.
    """

    state: str
    text: str
    score: float | None
    milliseconds: dict[str, float]
    others: list[str]
    alt: str


@dataclass
class Visit:
    """A visit to the page of a web export.

    Attributes:
        page: Playwright's page.
        requests: Addresses that it and its workers requested.
        problems: Errors and warnings of its console, and exceptions.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, context: Any, url: str, timeout: float = 120.0) -> "Visit":
        """Opens the page and waits until its captioner is loaded, or has failed to load."""
        visit = cls(context.new_page())
        context.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("console", visit._listen)
        visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
        visit.page.goto(url)
        visit.wait_for_captioner(timeout)
        return visit

    def wait_for_captioner(self, timeout: float = 120.0) -> None:
        """Waits until the captioner is loaded, or has failed to load."""
        self.page.wait_for_selector("body[data-ready], body[data-failed]", timeout=1000 * timeout)

    def caption(self, files: Sequence[Path], timeout: float = 300.0) -> list[Shown]:
        """Captions image files; returns what the page shows for each."""
        self.page.evaluate("document.getElementById('clear').click()")
        self.page.set_input_files("#files", [str(file) for file in files])
        self.page.wait_for_function(_FINISHED, arg=len(files), timeout=1000 * timeout)
        return [Shown(**card) for card in json.loads(json.dumps(self.page.eval_on_selector_all(".card", _CARDS)))]

    def run_module(self, module: str, body: str, argument: Any = None) -> Any:
        """Runs JavaScript with a module of the page as ``module``; returns its result.

        Args:
            module: Its file in the folder ``js``.
            body: Body of an async function of ``module`` and ``argument``.
            argument: Anything that JSON can hold.
        """
        script = f"""async ([name, argument]) => {{
            const module = await import(new URL('js/' + name, document.baseURI));
            {body}
        }}"""
        return self.page.evaluate(script, [module, argument])

    def _listen(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)
