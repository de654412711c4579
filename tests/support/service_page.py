"""The page of the service in a real browser, over captioners without a network."""

import contextlib
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from capsmith.models.training_domain import DomainCheck
from tests.support.service import QuickCaptioner, quick_app, served

CAPTIONED = ".photo[data-state=captioned]"
FAILED = ".photo[data-state=failed]"
SCHEMES = ("light", "dark")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


class PageCaptioner(QuickCaptioner):
    """Has three captions of each image, and finds blue images unlike its training images."""

    domain = SimpleNamespace(check=lambda rows: [DomainCheck(float(row[2] > 150), 0.5) for row in rows])

    def chosen(self, decoding, settings):
        return super().chosen(decoding, {"n": 3} | settings)


@contextlib.contextmanager
def page_server(settings=None, *captioners):
    """Serves the page; yields its address."""
    with served(quick_app(settings, *(captioners or (PageCaptioner(),)))) as address:
        yield address


@dataclass
class PageVisit:
    """A visit to the page.

    Attributes:
        page: Playwright's page.
        requests: Addresses that it requested.
        problems: Errors and warnings of its console, violations of the content security policy among them.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, context, address, example=True):
        """Opens the page, and by default waits until it has captioned its first example."""
        visit = cls(context.new_page())
        visit.page.set_default_timeout(30_000)
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("console", visit._listen)
        visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
        visit.page.goto(address if "#" in address else f"{address}/")
        if example:
            visit.page.wait_for_selector(CAPTIONED)
        return visit

    def _listen(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def choose(self, *files, state=CAPTIONED):
        """Chooses files; returns the card of the first one when all are done."""
        self.page.set_input_files("#files", [self._payload(file) for file in files])
        return self.wait(files[0], state)

    @staticmethod
    def _payload(file):
        if isinstance(file, tuple):
            name, content = file
            return {"name": name, "mimeType": "image/png", "buffer": content}
        return str(file)

    def wait(self, file, state=CAPTIONED):
        """Waits for the photograph in front to be done; returns its card."""
        name = file[0] if isinstance(file, tuple) else file.name
        card = self.page.locator(".photo").first
        self.page.wait_for_function(
            "([name, state]) => { const card = document.querySelector('.photo'); "
            "return card?.dataset.name === name && card.matches(state); }",
            arg=[name, state],
        )
        return card

    def module(self, name, body, argument=None):
        """Runs JavaScript with a module of the page as ``module``; returns its result."""
        script = f"""async (argument) => {{
            const module = await import(new URL('static/js/{name}', document.baseURI));
            {body}
        }}"""
        return self.page.evaluate(script, argument)

    def hear(self, text):
        """Waits until the live region says a text."""
        self.page.wait_for_function("text => document.getElementById('announcer').textContent === text", arg=text)

    def overlay(self, card, x, y):
        """Returns the red, green, blue and alpha of the overlay at a place of the photograph, each in 0 to 1."""
        return self.overlay_row(card, y, x)[0]

    def overlay_row(self, card, y, x=None):
        """Returns the pixels of the overlay at a height of the photograph, or one of them."""
        card.locator("canvas[data-settled]").wait_for(state="attached")
        data = card.locator("canvas").evaluate(
            """(canvas, [x, y]) => {
                const place = [Math.floor((x ?? 0) * canvas.width), Math.floor(y * canvas.height)];
                const wide = x === null ? canvas.width : 1;
                return Array.from(canvas.getContext('2d').getImageData(...place, wide, 1).data);
            }""",
            [x, y],
        )
        return [data[place : place + 4] for place in range(0, len(data), 4)]

    def clear(self):
        """Removes all photographs, and what was shown and said."""
        self.page.evaluate("document.getElementById('clear').click()")
        self.page.mouse.move(0, 0)
        self.problems.clear()


def caption_of(card):
    """Returns the caption that a card shows."""
    return re.sub(r"\s+", " ", card.locator(".caption-large").first.inner_text()).strip()
