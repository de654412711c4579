"""Screenshots of the studio, for the documentation and for looking at them.

    python -m benchmarks.studio_screenshots OUT [--images FOLDER] [--model MODEL] [--only NAME …] [--png]

Starts ``capsmith studio`` over a copy of the images, by default the service's example photographs, lets the starter
caption them, corrects some as a person would, and writes ``OUT/studio_*.webp``.
"""

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import capsmith
from benchmarks import browser
from benchmarks.screenshots import Scene, save

EXAMPLES = Path(capsmith.__file__).parent / "deploy" / "serving" / "page" / "examples"
_ENDINGS = (".jpg", ".png")
_DESKTOP, _PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
_CORRECTED = {
    "bear": "a polar bear walks through the snow",
    "astronaut": "an astronaut in an orange suit smiles at the camera",
    "coffee": "a cup of coffee on a wooden table",
    "chelsea": "a cat looks to the side",
    "rocket": "a rocket takes off at night",
}
_HEBREW = {"bear": "דוב קוטב הולך בשלג", "dog": "כלב רועה גרמני רץ בדשא", "horses": "סוסים עומדים בשדה"}
_ARABIC = {"coffee": "فنجان قهوة على طاولة خشبية", "guitar": "غيتار بجانب طبول", "chelsea": "قطة تنظر إلى الجانب"}


@contextlib.contextmanager
def studio(folder: Path, *arguments: str, timeout: float = 300.0) -> Iterator[str]:
    """Runs ``capsmith studio`` on a free port; yields its address once every image is captioned.

    Raises:
        RuntimeError: It ended, or took too long.
    """
    command = [sys.executable, "-m", "capsmith", "studio", "--images", str(folder), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = _address(process)
        end = time.monotonic() + timeout
        while _progress(address)["running"]:
            if time.monotonic() > end:
                raise RuntimeError("the images were not captioned in time")
            time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[str]) -> str:
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if found := re.search(r"http://[^\s/]+:[0-9]+", line):
            return found[0]
    raise RuntimeError("capsmith studio has ended: " + "".join(lines))


def _progress(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/v1/studio/progress", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def write(page: Any, captions: dict[str, str]) -> None:
    """Writes captions as a person does, by the beginning of the file name; others are left alone."""
    for name, caption in captions.items():
        cell = page.locator(".cell").filter(has=page.locator(f".cell-name[title^='{name}.']"))
        if cell.count():
            cell.locator(".cell-caption").click()
            page.keyboard.press("ControlOrMeta+a")
            page.keyboard.insert_text(caption)
            page.keyboard.press("Enter")
    page.locator(".cell:not([data-save=saved])").first.wait_for(state="detached")


def go(page: Any, name: str) -> None:
    """Makes an image the current one; its panel is loaded."""
    page.locator(f".cell-name[title^='{name}.']").click()
    page.locator(".panel-other:visible, dialog[open] .panel-other").first.wait_for()
    page.wait_for_timeout(400)


def look(page: Any, root: str, word: str) -> None:
    """Lights where the model looked at a word."""
    page.locator(f"{root} .word", has_text=re.compile(f"^{word}$")).first.hover()
    page.locator(f"{root} canvas[data-settled='1']").wait_for(state="attached")


def grid(page: Any) -> None:
    """The grid while a caption is corrected."""
    write(page, _CORRECTED)
    go(page, "dog")
    page.keyboard.press("a")
    go(page, "bear")
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.type(" between bushes")


def dark(page: Any) -> None:
    """Uncertain captions first, in dark mode, with a word lit beside the grid."""
    page.select_option("#sort", "uncertain")
    page.wait_for_timeout(600)
    go(page, "horses")
    page.evaluate("scrollTo(0, 0)")
    look(page, "#side", "dogs")


def large(page: Any) -> None:
    """The large view."""
    go(page, "dog")
    page.keyboard.press("f")
    page.locator("#viewer .panel-other").first.wait_for()
    page.wait_for_timeout(500)
    look(page, "#viewer", "grass")


def languages(page: Any) -> None:
    """Captions that are written from right to left."""
    write(page, _HEBREW | _ARABIC)
    go(page, "bear")


def retrain(page: Any) -> None:
    """What a retraining will do."""
    page.click("#retrain-open")


def export(page: Any) -> None:
    """What an export wrote."""
    page.click("#export-open")
    page.check("[name=format][value=txt]")
    page.click("#export-start")
    page.locator("#export-result li").first.wait_for()


def phone(page: Any) -> None:
    """The grid on a phone."""


SCENES = {
    "studio_grid": Scene(grid, {"viewport": _DESKTOP}),
    "studio_dark": Scene(dark, {"viewport": _DESKTOP, "color_scheme": "dark"}),
    "studio_large": Scene(large, {"viewport": _DESKTOP}),
    "studio_phone": Scene(phone, {"viewport": _PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}),
    "studio_export": Scene(export, {"viewport": _DESKTOP}),
    "studio_retrain": Scene(retrain, {"viewport": _DESKTOP}),
    "studio_languages": Scene(languages, {"viewport": _DESKTOP}),
}
"""In this order: each shows what those before it have changed."""


def main() -> None:
    """Writes the screenshots and prints their sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=Path, default=EXAMPLES, help="a folder of photographs")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--png", action="store_true", help="PNG instead of WebP")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browser.launched() as chromium:
        photos = Path(temporary) / "photos"
        photos.mkdir()
        for image in sorted(args.images.iterdir()):
            if image.suffix in _ENDINGS:
                shutil.copy(image, photos)
        with studio(photos, args.model) as address:
            for name in SCENES:
                if name in args.only:
                    path = args.out / f"{name}.{'png' if args.png else 'webp'}"
                    save(_shot(chromium, address, SCENES[name]), path)
                    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def _shot(chromium: Any, address: str, scene: Scene) -> bytes:
    context = chromium.new_context(**scene.context)
    page = context.new_page()
    page.goto(f"{address}/")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_timeout(800)
    scene.make(page)
    page.wait_for_timeout(600)
    content: bytes = page.screenshot()
    context.close()
    return content


if __name__ == "__main__":
    main()
