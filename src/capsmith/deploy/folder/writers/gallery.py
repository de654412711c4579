"""An HTML gallery: every image small, with its caption and alternative text. It needs no other file and no network.

Images are embedded at most ``SIDE`` pixels large, and link to the originals. Long galleries are several pages.
"""

import base64
import contextlib
import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from importlib import resources
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from capsmith.core.errors import ImageError, escaped
from capsmith.core.outputs import GENERATOR
from capsmith.core.pages.stylesheet import stylesheet
from capsmith.deploy.folder.journal import Journal
from capsmith.deploy.folder.writers.writer import Result, Writer, all_texts, require_own, write_file
from capsmith.vision.thumbnails import thumbnail

SIDE = 256
"""The longer side of the images in pixels."""
PER_PAGE = 500
"""Images on a page: about 6 MB."""
_QUALITY = 75
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class GalleryWriter(Writer):
    """Writes ``captions.html``, ``captions-2.html`` and so on.

    Args:
        path: The first page.
        count: Number of images.
        journal: Knows the hashes of the pages that were written.
        overwrite: Replace files of somebody else.
        workers: Threads that make the small images.
    """

    def __init__(self, path: Path, count: int, journal: Journal, overwrite: bool = False, workers: int = 2) -> None:
        self.paths = self.pages(path, count)
        self.journal, self.overwrite, self.workers, self.count = journal, overwrite, workers, count

    @staticmethod
    def pages(path: Path, count: int) -> list[Path]:
        """Returns the pages of a gallery of ``count`` images."""
        return [_page(path, number) for number in range(1, max(1, -(-count // PER_PAGE)) + 1)]

    def check(self) -> None:
        """Checks that the pages do not exist, or are results of this program that nobody changed."""
        for path in self.paths:
            require_own(path, self.journal, self.overwrite)

    def files(self) -> list[Path]:
        """Returns the pages."""
        return self.paths

    def finish(self, results: Iterable[Result]) -> list[Path]:
        """Writes the pages, and removes those of an earlier, longer gallery."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="thumbnail") as pool:
            left = iter(results)
            for number, path in enumerate(self.paths):
                part = list(islice(left, PER_PAGE))
                write_file(path, self._html(number, part, pool.map(_embedded, part)), self.journal)
        number = len(self.paths) + 1
        while (path := _page(self.paths[0], number)).is_file() and _digest(path) in self.journal.contents.files:
            with contextlib.suppress(OSError):
                path.unlink()
            number += 1
        return self.paths[:1]

    def _html(self, number: int, results: list[Result], small: Iterable[str]) -> Iterator[bytes]:
        title = f"{self.count:,} captioned images"
        if len(self.paths) > 1:
            title += f", page {number + 1} of {len(self.paths)}"
        yield _HEAD.format(title=title, style=_style(), generator=GENERATOR, policy=_POLICY).encode()
        yield f'{self._links(number, "Pages")}</header>\n<ul class="cards">\n'.encode()
        for result, source in zip(results, small, strict=True):
            yield _figure(result, source, self.paths[number].parent).encode("utf-8", "backslashreplace")
        yield f"</ul>\n{self._links(number, 'Pages, at the end')}</main>\n</body>\n</html>\n".encode()

    def _links(self, current: int, label: str) -> str:
        if len(self.paths) == 1:
            return ""
        marks = (" aria-current=page" if number == current else "" for number in range(len(self.paths)))
        links = (
            f'<a class="chip" href="{quote(path.name)}"{mark}>{number}</a>'
            for number, (path, mark) in enumerate(zip(self.paths, marks, strict=True), 1)
        )
        return f'<nav class="links" aria-label="{label}">{" ".join(links)}</nav>\n'


def _page(first: Path, number: int) -> Path:
    return first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _embedded(result: Result) -> str:
    """Returns the small image as a data URL; empty if it cannot be read."""
    if result.record is None:
        return ""
    try:
        image = thumbnail(result.item.path, SIDE)
    except ImageError:  # it was changed since it was captioned
        return ""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY, optimize=True)
    size = f'width="{image.width}" height="{image.height}"'
    return f'src="data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}" {size}'


def _figure(result: Result, source: str, folder: Path) -> str:
    item, record, error = result
    name = escape(escaped(item.name))
    if record is None:
        reason = f'<p class="frame error">{escape(escaped(error))}</p>'
        caption = f'<figcaption class="card-body"><small>{name}</small></figcaption>'
        return f'<li><figure class="card">{reason}{caption}</figure></li>\n'
    texts = all_texts(record)
    link = quote(os.fsencode(os.path.relpath(os.path.abspath(item.path), os.path.abspath(folder)).replace(os.sep, "/")))
    image = f'<img {source} alt="{escape(texts[0])}" loading="lazy">' if source else escape(texts[0])
    lines = "".join(f'<p class="caption" dir="auto">{escape(text)}</p>' for text in texts)
    note = '<p class="note">unlike the training images</p>' if record.get("unlike_training") else ""
    return (
        f'<li><figure class="card"><a class="frame" href="{link}">{image}</a>'
        f'<figcaption class="card-body">{lines}{note}<small>{name}</small></figcaption></figure></li>\n'
    )


def _style() -> str:
    own = resources.files("capsmith.deploy.folder.writers").joinpath("gallery.css").read_text(encoding="utf-8")
    return f"{stylesheet()}\n{own}"


_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{generator}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main class="page">
<header><h1>{title}</h1>
"""
