"""Captions as metadata of images: XMP, and in JPEG files EXIF and IPTC with it, by Adobe's toolkit (Exempi).

The caption is ``dc:description``, which photo programs show as the description, and ``Iptc4xmpCore:
AltTextAccessibility``, the alternative text of IPTC 2021.1, both in the language ``x-default``. By default they are in
a sidecar, ``photo.xmp``, and the image is untouched. In place they are in the file itself; only JPEG and PNG are
written so: Exempi 2.6 damages WebP files, and other formats cannot hold XMP or are rarely read from.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from capsmith.core.errors import CapsmithError, ConfigError, MissingExtraError
from capsmith.core.files import atomic, write_text
from capsmith.core.readers.regular_files import SMALL_FILE, read_bytes
from capsmith.deploy.folder.journal import Journal, Stamp
from capsmith.deploy.folder.selection import Item
from capsmith.deploy.folder.writers.text import beside
from capsmith.deploy.folder.writers.writer import Writer
from capsmith.vision.image_files import MAX_BYTES, open_image, orientation
from capsmith.vision.image_formats import HEAD, format_of

_IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_DC = "http://purl.org/dc/elements/1.1/"
_LANGUAGE = "x-default"
_EMBEDDED = {"JPEG": ".jpg", "PNG": ".png"}
"""Formats that can hold XMP, and the file name extension by which Exempi knows them."""


class MetadataWriter(Writer):
    """Writes XMP sidecars, or metadata into the images.

    Metadata that is there already is kept. A description of somebody else is kept, too, unless ``overwrite`` is set.

    Args:
        items: All images.
        folder: The folder of the sidecars; by default beside the images.
        overwrite: Replace descriptions of somebody else.
        in_place: Write into JPEG and PNG files; other formats get a sidecar.
        journal: Receives the new size and time of a changed image, so that it is not captioned again.
    """

    def __init__(
        self,
        items: Sequence[Item],
        journal: Journal,
        folder: Path | None = None,
        overwrite: bool = False,
        in_place: bool = False,
    ) -> None:
        self.paths = beside(items, folder, ".xmp")
        self.journal, self.overwrite, self.in_place = journal, overwrite, in_place

    def check(self) -> None:
        """Checks that the toolkit is installed."""
        load_toolkit()

    def files(self) -> list[Path]:
        """Returns the sidecars."""
        return list(self.paths.values())

    def write(self, item: Item, record: dict[str, Any], earlier: Sequence[dict[str, Any]]) -> str:
        """Writes the metadata of one image."""
        text, ours = record["caption"], {before["caption"] for before in (record, *earlier)}
        if self.in_place and (kept := self._embed(item, record, ours)) is not None:
            return kept
        path = self.paths[item.name]
        try:
            existing = read_bytes(path, SMALL_FILE) if os.path.lexists(path) else None
        except OSError as error:
            raise CapsmithError(f"cannot read {path}, which would be replaced: {error.strerror or error}") from error
        packet = changed_packet(existing, text, None if self.overwrite else ours)
        if packet is None:
            return str(path)
        if packet:
            write_text(path, packet)
        return ""

    def _embed(self, item: Item, record: dict[str, Any], ours: set[str]) -> str | None:
        """Writes into the image; returns the file if it was kept, and None if its format cannot hold metadata."""
        path = Path(os.path.realpath(item.path))
        try:
            data = read_bytes(path, MAX_BYTES)
            kind = format_of(data[:HEAD])
            if kind not in _EMBEDDED:
                return None
            changed = embedded(data, kind, record["caption"], None if self.overwrite else ours)
        except OSError as error:
            raise CapsmithError(f"cannot read {path}: {error.strerror or error}") from error
        except _NotHeld:
            return None
        if changed is None:
            return str(path)
        if changed != data:
            mode = path.stat().st_mode & 0o7777
            with atomic(path, "wb") as file:
                file.write(changed)
                file.flush()
                os.fsync(file.fileno())
                status = os.fstat(file.fileno())
                self.journal.add(item.name, Stamp(status.st_size, status.st_mtime_ns), record)
            os.chmod(path, mode)
        return ""


class _NotHeld(Exception):
    """A file cannot hold the metadata."""


def load_toolkit() -> ModuleType:
    """Returns the XMP toolkit.

    Raises:
        MissingExtraError: The Python package is not installed.
        ConfigError: The library that it wraps is not installed.
    """
    try:
        import libxmp
    except ImportError as error:
        raise MissingExtraError("python-xmp-toolkit", "metadata", "--write xmp") from error
    try:
        libxmp.XMPMeta.register_namespace(_IPTC, "Iptc4xmpCore")
    except libxmp.ExempiLoadError as error:
        raise ConfigError(
            "--write xmp needs the library Exempi: apt install libexempi8, or brew install exempi"
        ) from error
    return libxmp


def changed_packet(existing: bytes | None, text: str, ours: set[str] | None) -> str | None:
    """Returns XMP with the caption, and everything else of the existing XMP.

    Args:
        existing: The content of a sidecar; None if there is none.
        text: The caption.
        ours: Descriptions that may be replaced; None: all.

    Returns:
        The new content; empty if the existing one is right; None if it has a description, or is XMP, of somebody else.
    """
    toolkit = load_toolkit()
    meta = toolkit.XMPMeta()
    if existing is not None:
        try:
            meta.parse_from_str(existing.decode("utf-8-sig"))
            found = _description(meta)
        except (toolkit.XMPError, UnicodeDecodeError):
            if ours is not None:
                return None
            meta, found = toolkit.XMPMeta(), None
        if found == text:
            return ""
        if ours is not None and found not in ours:
            return None
    _describe(meta, text)
    packet: str = meta.serialize_to_str(omit_packet_wrapper=True, use_compact_format=True)
    return packet.rstrip() + "\n"


def embedded(data: bytes, kind: str, text: str, ours: set[str] | None) -> bytes | None:
    """Returns an image file with the caption in its metadata; the pixels and other metadata are the same.

    Args:
        data: The file.
        kind: Its format by Pillow's name.
        text: The caption.
        ours: Descriptions that may be replaced, whether in XMP, EXIF or IPTC; None: all.

    Returns:
        The new file, or ``data`` if it holds the caption; None if it has a description of somebody else.

    Raises:
        _NotHeld: The toolkit cannot write this file without damage.
    """
    toolkit = load_toolkit()
    with tempfile.TemporaryDirectory(prefix="capsmith-") as folder:
        path = Path(folder) / f"image{_EMBEDDED[kind]}"
        path.write_bytes(data)
        try:
            file = toolkit.XMPFiles(file_path=str(path), open_forupdate=True)
            meta = file.get_xmp() or toolkit.XMPMeta()
            found = _description(meta)
            if found == text and meta.does_property_exist(_IPTC, "AltTextAccessibility"):
                return data
            if found is not None and ours is not None and found not in ours:
                return None
            _describe(meta, text)
            file.put_xmp(meta)
            file.close_file()
        except toolkit.XMPError as error:
            raise _NotHeld from error
        changed = path.read_bytes()
    if _content(changed) != _content(data):
        raise _NotHeld
    return changed


def _description(meta: Any) -> str | None:
    if not meta.does_property_exist(_DC, "description"):
        return None
    text: str = meta.get_localized_text(_DC, "description", "", _LANGUAGE)
    return text.strip() or None


def _describe(meta: Any, text: str) -> None:
    meta.set_localized_text(_DC, "description", "", _LANGUAGE, text)
    meta.set_localized_text(_IPTC, "AltTextAccessibility", "", _LANGUAGE, text)


def _content(data: bytes) -> Any:
    """Returns what a change of metadata must not change: pixels, frames, colour profile, orientation."""
    try:
        with open_image(data, "the image") as image:
            turned, frames = orientation(image), getattr(image, "n_frames", 1)
            image.load()
            return image.size, image.mode, frames, turned, image.info.get("icc_profile"), image.tobytes()
    except Exception as error:  # damaged: no reason to touch it
        raise _NotHeld from error
