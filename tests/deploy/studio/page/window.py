"""A window with the studio's page in Chromium, and folders of plain images for it."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from capsmith.deploy.studio.project import project_folder
from capsmith.deploy.studio.records import Proposal
from capsmith.deploy.studio.store import Store
from tests.deploy.studio.projects import listing
from tests.support.service import served
from tests.support.studio import quick_studio

COLOURS = {"red": (200, 20, 20), "green": (20, 160, 40), "blue": (30, 60, 200)}
_EXPECTED = ("Failed to load resource",)  # what Chromium says of answers with an error status


def paint(folder: Path, names=("a.png", "b.png", "c.png", "d.png"), size=(60, 40)) -> Path:
    """Writes images in red, green, blue, red …; their captions are ``a red picture`` and so on."""
    colours = list(COLOURS.values())
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colours[number % 3]).save(folder / name)
    return folder


def propose(folder: Path, captions: dict[str, Any]) -> Path:
    """Lets the model of the tests propose captions, by file name; a value may also be further values of a proposal."""
    with Store.open(project_folder(folder, None), folder) as store:
        store.sync(listing(folder).items)
        known = {image.name: store.image(image.id) for image in store.images(limit=10_000).images}
        store.propose([_proposal(known[name], what) for name, what in captions.items()])
    return folder


def _proposal(image, what):
    more = {"caption": what} if isinstance(what, str) else what
    words = more.get("caption", "").split()
    probabilities = [0.5] * len(words)
    details = {"words": words, "probabilities": probabilities, "score": -1.0, "alternatives": []}
    plain = {"per_word": -0.7, "log_probability": -2.0, "model": "one", "size": (60, 40), "details": details}
    return Proposal(image.id, image.stamp, **plain | more)


def stored(folder: Path) -> dict[str, tuple[str, str]]:
    """Returns the captions and statuses that are on disk, by file name."""
    with Store.read(project_folder(folder, None)) as store:
        return {image.name: (image.caption, image.status) for image in store.images(limit=10_000).images}


@contextlib.contextmanager
def studio_over(folder: Path, port: int = 0, **more):
    """Runs the studio of a folder in a thread; yields its address."""
    with served(quick_studio(folder, **more), port) as address:
        yield address


@dataclass
class Window:
    """A window with the page.

    Attributes:
        page: Playwright's page.
        address: The studio.
        requests: Addresses that the page asked for.
        problems: Errors and warnings of its console, violations of its policy among them, and exceptions.
    """

    page: Any
    address: str
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, context: Any, address: str, query: str = "", captioned: bool = True) -> "Window":
        """Opens the page and waits until it is ready, by default until everything is captioned."""
        window = cls(context.new_page(), address)
        window.page.set_default_timeout(10_000)
        window.page.on("request", lambda request: window.requests.append(request.url))
        window.page.on("console", window._listen)
        window.page.on("pageerror", lambda error: window.problems.append(str(error)))
        window.page.on("dialog", lambda dialog: dialog.accept())
        window.page.goto(f"{address}/{query}")
        window.ready(captioned)
        return window

    def ready(self, captioned: bool = True) -> None:
        """Waits until the page is ready."""
        self.page.wait_for_selector("body[data-ready]")
        if captioned:
            self.none(".cell[data-status=pending]")

    def reload(self) -> None:
        """Loads the page again."""
        self.page.reload()
        self.ready()

    def cell(self, name: str) -> Any:
        """Returns the cell of an image by its file name."""
        return self.page.locator(".cell").filter(has=self.page.locator(f".cell-name[title='{name}']"))

    def caption(self, name: str) -> str:
        """Returns the caption that an image shows."""
        return self.cell(name).locator(".cell-caption").text_content()

    def status(self, name: str) -> str:
        """Returns the status that an image shows."""
        return self.cell(name).get_attribute("data-status")

    def save(self, name: str) -> str:
        """Returns how the edit of an image is being saved."""
        return self.cell(name).get_attribute("data-save")

    @property
    def names(self) -> list[str]:
        """The file names that are shown, in order."""
        return self.page.eval_on_selector_all(".cell-name", "nodes => nodes.map(node => node.title)")

    @property
    def current(self) -> str:
        """The file name of the current image."""
        return self.page.locator(".cell[aria-selected=true] .cell-name").get_attribute("title")

    @property
    def focused(self) -> str:
        """The file name of the image that has the focus, or the id or class of what else has it."""
        script = "node => node.querySelector?.('.cell-name')?.title ?? (node.id || node.className || node.tagName)"
        return self.page.evaluate_handle("document.activeElement").evaluate(script)

    @property
    def said(self) -> str:
        """What screen readers were told last."""
        return self.page.locator("#announcer").text_content()

    def press(self, *keys: str) -> None:
        """Presses keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def go(self, name: str) -> None:
        """Makes an image the current one."""
        self.cell(name).locator(".cell-foot").click()
        assert self.current == name

    def write(self, text: str) -> None:
        """Writes in the field that is open, instead of what it holds."""
        self.page.wait_for_selector("textarea.editor")
        self.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def saved(self) -> None:
        """Waits until every edit is saved."""
        self.none(".cell:not([data-save=saved])")

    def settle(self, name: str, state: str) -> None:
        """Waits until the edit of an image has a state."""
        self.cell(name).and_(self.page.locator(f"[data-save={state}]")).wait_for()

    def none(self, selector: str) -> None:
        """Waits until nothing matches a selector."""
        self.until(lambda: self.page.locator(selector).count() == 0)

    def until(self, check: Any, found: Any = None, seconds: float = 10.0) -> None:
        """Waits until a function returns something true; ``found`` returns what is there instead."""
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, found() if found else "waited in vain"
            self.page.wait_for_timeout(30)

    def _listen(self, message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            self.problems.append(message.text)
