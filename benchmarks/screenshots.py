"""Screenshots of the service's page, for the documentation and for looking at them.

    python -m benchmarks.screenshots OUT [--second NAME=MODEL] [--recommend RUN] [--search INDEX] [--detector FILE]

Starts ``capsmith serve`` with the starter, and with ``--second`` beside another model for the comparison. Writes
``OUT/serve_*.webp``: the page in light and dark mode, on a phone, where the model looked, two models side by side; with
``--recommend`` the tab of recommendations, with ``--search`` that of search, with ``--detector`` that of descriptions.
"""

import argparse
import contextlib
import io
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from benchmarks import browser

_DESKTOP, _PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
_QUALITY = 84


@contextlib.contextmanager
def service(*arguments: str, timeout: float = 120.0) -> Iterator[str]:
    """Runs ``capsmith serve`` on a free port; yields its address once its models are loaded.

    Raises:
        RuntimeError: It ended, or was not ready in time.
    """
    command = [sys.executable, "-m", "capsmith", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _address(process, timeout)
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[str], timeout: float) -> str:
    end = time.monotonic() + timeout
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if found := re.search(r"http://[^\s/]+:[0-9]+", line):
            _wait_until_ready(found[0], end)
            return found[0]
    raise RuntimeError("capsmith serve has ended: " + "".join(lines))


def _wait_until_ready(address: str, end: float) -> None:
    while True:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            if time.monotonic() > end:
                raise RuntimeError("the models were not loaded in time") from None
            time.sleep(0.2)


def captioned(page: Any, example: str) -> Any:
    """Captions an example; returns its card."""
    page.click(f"[data-example='{example}.jpg']")
    page.wait_for_selector(f".photo:first-child[data-state=captioned][data-name='{example}.jpg']")
    return page.locator(".photo").first


def look(card: Any, word: str) -> None:
    """Lights where the model looked at a word, as the mouse does."""
    card.locator(".word", has_text=re.compile(f"^{word}$")).last.hover()
    card.locator("canvas[data-settled='1']").wait_for(state="attached")


def light(page: Any) -> bytes:
    """The page as a visitor finds it, with a word of the first example lit."""
    look(page.locator(".photo").first, "shepherd")
    shot: bytes = page.screenshot()
    return shot


def dark(page: Any) -> bytes:
    """The page in dark mode."""
    look(captioned(page, "bear"), "dog")
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    shot: bytes = page.screenshot()
    return shot


def phone(page: Any) -> bytes:
    """A caption on a phone."""
    card = captioned(page, "musicians")
    card.locator(".word").last.tap()
    card.locator("canvas[data-settled='1']").wait_for(state="attached")
    card.evaluate("card => card.scrollIntoView({block: 'start', behavior: 'instant'})")
    shot: bytes = page.screenshot()
    return shot


def attention(page: Any) -> bytes:
    """Each word of one caption, and where the model looked."""
    card = captioned(page, "horses")
    card.scroll_into_view_if_needed()
    shots = []
    for word in ("three", "dogs", "grass"):
        look(card, word)
        shots.append(Image.open(io.BytesIO(card.locator(".photo-picture").screenshot())))
    return _row(shots)


def compare(page: Any) -> bytes:
    """Two models side by side."""
    page.click("#models button >> nth=1")
    page.wait_for_selector(".photo[data-models='2']")
    card = captioned(page, "musicians")
    page.wait_for_selector(".photo:first-child[data-models='2']")
    page.wait_for_timeout(600)
    page.evaluate("document.querySelector('.settings').scrollIntoView({behavior: 'instant'})")
    look(card, "men")
    shot: bytes = page.screenshot()
    return shot


def recommend(page: Any) -> bytes:
    """The captions of a library for an example."""
    page.click("#views [data-to=recommend]")
    page.wait_for_selector("#recommended:not([aria-busy])[data-photo='dog.jpg']")
    page.wait_for_timeout(500)
    shot: bytes = page.screenshot()
    return shot


def describe(page: Any) -> bytes:
    """An example with the box of a word."""
    page.click("#views [data-to=describe]")
    page.click("[data-describe='dog.jpg']")
    page.wait_for_selector("#described[data-photo='dog.jpg']:not([aria-busy]) .noun")
    page.evaluate("scrollTo(0, 0)")
    page.locator(".noun").first.hover()
    page.wait_for_timeout(500)
    shot: bytes = page.screenshot()
    return shot


def search(page: Any) -> bytes:
    """The photographs that a phrase finds."""
    page.click("#views [data-to=search]")
    page.fill("#query", "a small dog with a hat")
    page.press("#query", "Enter")
    page.wait_for_selector("#hits:not([aria-busy]) .hit")
    page.wait_for_timeout(1500)
    shot: bytes = page.screenshot()
    return shot


def _row(shots: list[Image.Image]) -> bytes:
    """Puts pictures of one size beside each other."""
    gap = 12
    width, height = shots[0].size
    row = Image.new("RGB", (len(shots) * (width + gap) - gap, height), "white")
    for place, shot in enumerate(shots):
        row.paste(shot, (place * (width + gap), 0))
    file = io.BytesIO()
    row.resize((1440, round(row.height * 1440 / row.width)), Image.Resampling.LANCZOS).save(file, "PNG")
    return file.getvalue()


class Scene(NamedTuple):
    """How a screenshot is made."""

    make: Callable[[Any], bytes]
    context: dict[str, Any]


SCENES = {
    "serve_light": Scene(light, {"viewport": _DESKTOP}),
    "serve_dark": Scene(dark, {"viewport": _DESKTOP, "color_scheme": "dark"}),
    "serve_phone": Scene(phone, {"viewport": _PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}),
    "serve_attention": Scene(attention, {"viewport": _DESKTOP}),
    "serve_compare": Scene(compare, {"viewport": _DESKTOP}),
    "serve_recommend": Scene(recommend, {"viewport": _DESKTOP}),
    "serve_describe": Scene(describe, {"viewport": _DESKTOP}),
    "serve_search": Scene(search, {"viewport": _DESKTOP}),
}


def save(content: bytes, path: Path) -> None:
    """Saves a screenshot in the format of its name."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image.save(path, quality=_QUALITY, method=6) if path.suffix == ".webp" else image.save(path, optimize=True)


def main() -> None:
    """Writes the screenshots and prints their sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--second", metavar="NAME=MODEL", help="a model to compare the starter with")
    parser.add_argument("--recommend", metavar="RUN", help="the run of an embedding that recommends captions")
    parser.add_argument("--search", metavar="INDEX", help="an index of images to search")
    parser.add_argument("--detector", metavar="MODEL.onnx", help="a detector; with --recommend also captions that fit")
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--png", action="store_true", help="PNG instead of WebP")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with browser.launched() as chromium:
        for models, names in _services(args):
            with service(*models) as address:
                for name in names:
                    path = args.out / f"{name}.{'png' if args.png else 'webp'}"
                    save(_shot(chromium, address, SCENES[name]), path)
                    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def _services(args: argparse.Namespace) -> Iterator[tuple[list[str], list[str]]]:
    """Yields the arguments of each service, and the scenes that it is for."""
    needs = {
        "serve_compare": args.second,
        "serve_recommend": args.recommend,
        "serve_describe": args.detector,
        "serve_search": args.search,
    }
    if alone := [name for name in args.only if name not in needs]:
        yield ["starter"], alone
    fits = ["--recommend", args.recommend] if args.recommend else []
    options = {
        "serve_compare": [],
        "serve_recommend": ["--recommend"],
        "serve_describe": [*fits, "--detector"],
        "serve_search": ["--search"],
    }
    for name, value in needs.items():
        if value and name in args.only:
            yield ["starter", *options[name], value], [name]


def _shot(chromium: Any, address: str, scene: Scene) -> bytes:
    context = chromium.new_context(**scene.context)
    page = context.new_page()
    page.goto(f"{address}/")
    page.wait_for_selector(".photo[data-state=captioned]")
    page.wait_for_timeout(500)
    content = scene.make(page)
    context.close()
    return content


if __name__ == "__main__":
    main()
