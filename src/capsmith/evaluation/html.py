"""What our HTML pages share: their style, their frame, and small copies of images beside them.

A page needs no network, no script and nothing outside its folder.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from capsmith.core.errors import ImageError
from capsmith.core.files import atomic, write_text
from capsmith.core.outputs import COPIES, GENERATOR, listed_copies
from capsmith.vision.images import ImageSource
from capsmith.vision.thumbnails import thumbnail

THUMBNAIL = 320
"""Longest side of the images in the report, in pixels."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --paper: #f3f5f8; --card: #fff;
  --rule: #dde2ea;
  --accent: #0b63ce; --good: #0a7f4f; --bad: #b3401f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf2; --soft: #9aa5b5; --paper: #12161d;
  --card: #1b212b;
  --rule: #2e3744; --accent: #6fb1ff; --good: #4fd39a; --bad: #ff9670; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 82rem; background: var(--paper);
  color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 1rem; color: var(--soft); }
.wide { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--rule);
  border-radius: 8px; }
th, td { padding: .5rem .9rem; text-align: right; border-top: 1px solid var(--rule);
  white-space: nowrap;
  font-variant-numeric: tabular-nums; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .85rem; }
th:first-child, td:last-child, thead th:last-child { text-align: left; }
td.score { font-weight: 650; }
code { font: .78rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--soft); }
.cards { display: grid; gap: 1.1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  overflow: hidden; }
figure img, .gone { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain;
  background: var(--rule); }
.gone { display: grid; place-items: center; color: var(--soft); font-size: .9rem; }
figcaption { padding: .8rem .95rem 1rem; }
.said { font-weight: 620; font-size: 1.05rem; line-height: 1.35; margin: 0 0 .5rem; color: var(--ink); }
.said.model::before { content: "model"; float: right; margin: .15rem 0 0 .6rem;
  font: 500 .68rem system-ui, sans-serif;
  letter-spacing: .04em; text-transform: uppercase; color: var(--accent); }
ul { margin: 0; padding: 0; list-style: none; font-size: .88rem; color: var(--soft); }
li { padding: .18rem 0; border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
.id { display: flex; justify-content: space-between; gap: 1rem; margin: .6rem 0 0; font-size: .76rem; }
.id span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bars { width: 100%; max-width: 46rem; height: auto; }
.bars rect { fill: var(--accent); } .bars text { fill: var(--soft); font-size: 11px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; }
.plain { list-style: disc; padding-left: 1.2rem; } .plain li { border: 0; }
.best b { color: var(--good); } .worst b { color: var(--bad); }
footer { margin-top: 3rem; font-size: .85rem; color: var(--soft); }
"""


def write_page(path: Path, title: str, parts: Iterable[str]) -> Path:
    """Writes a page of these parts, atomically; returns its path.

    Raises:
        CapsmithError: The folder cannot be written.
    """
    heading = escape(title.encode("utf-8", "backslashreplace").decode())
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'{GENERATOR}\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n<body>\n<h1>{heading}</h1>\n"
    )
    write_text(path, page + "\n".join(parts) + "\n</body>\n</html>\n")
    return path


def cards(given: Iterable[str]) -> str:
    """Returns figures side by side, as many as the page is wide."""
    return f'<div class="cards">{"".join(given)}</div>'


def footer(notes: Sequence[str]) -> str:
    """Returns the lines at the foot of a page."""
    return "<footer>" + "".join(f"<div>{escape(note)}</div>" for note in notes) + "</footer>"


def small_copy(source: ImageSource, name: str, folder: Path) -> str | None:
    """Writes a small copy of an image; returns its file name, or None when the image cannot be read.

    Args:
        source: The image.
        name: What tells it from others, such as its id.
        folder: Where the copy goes.
    """
    file = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16] + ".jpg"
    try:
        small = thumbnail(source, THUMBNAIL)
    except ImageError:  # noted at extraction; the page goes on
        return None
    return save_copy(small, file, folder)


def save_copy(image: Image.Image, file: str, folder: Path) -> str:
    """Writes an image that is small already; returns its file name.

    It is listed as ours before it is there, so that a command that is interrupted leaves nothing unknown.
    """
    names = _listed(folder)
    if file not in names or not (folder / COPIES).exists():
        _list(folder, names | {file})
    with atomic(folder / file, "wb") as opened:
        image.save(opened, "JPEG", quality=88)
    return file


def clear_copies(folder: Path, wanted: set[str]) -> None:
    """Takes away the copies that an earlier page showed and this one does not, and no other file."""
    for name in _listed(folder) - wanted:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    if folder.is_dir() or wanted:
        _list(folder, wanted)


def _listed(folder: Path) -> set[str]:
    try:
        return listed_copies(folder) or set()
    except OSError:
        return set()  # the writing that follows says why


def _list(folder: Path, names: set[str]) -> None:
    write_text(folder / COPIES, json.dumps(sorted(names)))


def image(file: str | None, alt: str) -> str:
    """Returns the HTML of an image in ``images`` beside the page, or of a place where one should be."""
    if file is None:
        return '<div class="gone">the image cannot be read</div>'
    return f'<img src="images/{file}" alt="{escape(alt)}" loading="lazy">'
