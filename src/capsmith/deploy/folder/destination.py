"""Where the results of a folder go: the formats of ``--write`` and the paths that follow from ``--output``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from capsmith.core.errors import ConfigError
from capsmith.deploy.folder.journal import Journal
from capsmith.deploy.folder.names import kept_root
from capsmith.deploy.folder.selection import Selection
from capsmith.deploy.folder.writers.gallery import GalleryWriter
from capsmith.deploy.folder.writers.metadata import MetadataWriter
from capsmith.deploy.folder.writers.tables import CsvWriter, LinesWriter
from capsmith.deploy.folder.writers.text import TextWriter, beside
from capsmith.deploy.folder.writers.writer import TableWriter, Writer

TABLES: dict[str, type[TableWriter]] = {"jsonl": LinesWriter, "csv": CsvWriter}
"""Writers of tables."""
PAGES = "html"
SIDECARS = {"txt": ".txt", "xmp": ".xmp"}
"""Formats with a file for each image, and their file name extensions."""
FILES = (*TABLES, PAGES)
"""Formats with a file for all images."""
FORMATS = (*SIDECARS, *FILES)
"""The formats of ``--write``."""
_STEM = "captions"


@dataclass(frozen=True)
class Destination:
    """Formats and paths of the results.

    Attributes:
        formats: Formats, each once.
        folder: The folder of the journal and of the tables.
        stem: The file name of the tables, without its ending.
        beside: The folder of the files of each image; None: beside the images.
        overwrite: Replace files of somebody else, and caption every image again.
        skip_done: Keep the captions of another model or other settings, and changed results.
        in_place: Write metadata into the images.
    """

    formats: tuple[str, ...]
    folder: Path
    stem: str = _STEM
    beside: Path | None = None
    overwrite: bool = False
    skip_done: bool = False
    in_place: bool = False

    def writers(self, selection: Selection, journal: Journal) -> list[Writer]:
        """Returns the writers, after they have checked that the results may be written.

        Raises:
            ConfigError: A result would replace a file of somebody else, or an image.
        """
        writers: list[Writer] = []
        for name in self.formats:
            path = self.folder / f"{self.stem}.{name}"
            if name in TABLES:
                writers.append(TABLES[name](path, journal, self.overwrite))
            elif name == PAGES:
                writers.append(GalleryWriter(path, len(selection.items), journal, self.overwrite))
            elif name == "xmp":
                writers.append(MetadataWriter(selection.items, journal, self.beside, self.overwrite, self.in_place))
            else:
                writers.append(TextWriter(selection.items, self.beside, self.overwrite))
        images = {os.path.abspath(path) for path in selection.paths}
        for writer in writers:
            if taken := next((path for path in writer.files() if os.path.abspath(path) in images), None):
                raise ConfigError(f"{taken} is an image of this command and would be replaced: name another --output")
            writer.check()
        return writers

    def results(self, selection: Selection) -> list[str]:
        """Returns the names of the results, relative to the root of the images, so that no note calls them skipped."""
        root = os.path.abspath(selection.root or "")
        pages = GalleryWriter.pages(self.folder / f"{self.stem}.{PAGES}", len(selection.items))
        paths = [*pages, *(self.folder / f"{self.stem}.{name}" for name in TABLES)]
        for ending in SIDECARS.values():
            paths += beside(selection.items, self.beside, ending).values()
        return [os.path.relpath(os.path.abspath(path), root) for path in paths]

    def root_of(self, selection: Selection) -> str:
        """Returns the folder of the images as the journal names it: relative, so that both can be moved together."""
        return kept_root(selection.root or Path(), self.folder)


def destination(write: str | None, output: Path | None, selection: Selection) -> tuple[Destination, Selection] | None:
    """Returns where results go, and the selection with its names relative to a root; None if none are to be written.

    Args:
        write: Formats, separated by commas; by default the one that the ending of ``output`` names.
        output: A folder for all results; or a file for a table, beside which other tables go.
        selection: The images.

    Raises:
        ConfigError: A format does not exist or does not fit, or there is no one folder for the results.
    """
    ending = output.suffix.lower().removeprefix(".") if output is not None and not output.is_dir() else ""
    if write is None and output is None:
        return None
    if write is None and ending not in FILES:
        raise ConfigError(f"--output {output} needs --write with the formats to write: {', '.join(FORMATS)}")
    formats = _formats(ending if write is None else write)
    if output is None:
        if selection.root is None:
            raise ConfigError("the images are in several folders: name the folder of the results with --output")
        return Destination(formats, selection.root), selection.rooted()
    selection = selection.rooted()
    if ending in FILES:
        if ending not in formats:
            raise ConfigError(f"--output {output} is a {ending} file, but --write does not name {ending}")
        return Destination(formats, output.parent, output.stem), selection
    if ending and output.is_file():
        raise ConfigError(f"--output {output} is a file: name a folder, or a file in {', '.join(FILES)}")
    return Destination(formats, output, beside=output), selection


def with_choices(
    place: Destination, overwrite: bool = False, skip_done: bool = False, in_place: bool = False
) -> Destination:
    """Returns a destination with the choices of the command line.

    Raises:
        ConfigError: They contradict each other.
    """
    if overwrite and skip_done:
        raise ConfigError("--overwrite and --skip-done contradict each other: choose one")
    if in_place and "xmp" not in place.formats:
        raise ConfigError("--in-place needs --write xmp: it writes that metadata into the images")
    return replace(place, overwrite=overwrite, skip_done=skip_done, in_place=in_place)


def _formats(text: str) -> tuple[str, ...]:
    names: Sequence[str] = [name.strip().lower().removeprefix(".") for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"--write {text}: {name!r} is not a format (one or more of: {', '.join(FORMATS)})")
    return tuple(dict.fromkeys(names))
