"""A library: captions that are ready to use, with plain descriptions of the photographs that they fit."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capsmith.core.errors import ConfigError, DataError
from capsmith.core.readers.text_files import read_text
from capsmith.core.spelling import folded, nearest
from capsmith.core.unicode import nfc
from capsmith.deploy.recommend.library_rows import CAPTION, COLUMNS, DESCRIPTION, THEME, Row, rows_of

EXAMPLE = Path(__file__).parent / "example_library.csv"
"""The library that comes with capsmith; its columns are those of one's own."""
MAX_CAPTIONS = 1_000_000
MAX_BYTES = 256 * 2**20
MAX_CHARACTERS = {CAPTION: 2_200, DESCRIPTION: 2_200, THEME: 100}
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))  # they change the direction of text


@dataclass(frozen=True)
class Library:
    """Captions in the order of their file.

    Attributes:
        captions: What is recommended. One caption may occur with several descriptions.
        descriptions: What a fitting photograph shows, in plain words; empty to match the caption itself.
        themes: The theme of each caption; empty if it has none.
        name: The file, for messages.
        notes: Lines about what was left out.
    """

    captions: tuple[str, ...]
    descriptions: tuple[str, ...]
    themes: tuple[str, ...]
    name: str = "library"
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> "Library":
        """Reads a library: ``.csv``, ``.tsv``, ``.json``, ``.jsonl``, or text with a caption a line.

        Tables have a column ``caption``, and may have ``description`` and ``theme``. In text, empty lines and lines
        that begin with ``#`` and a space are skipped. Rows that occur twice are read once.

        Raises:
            DataError: The file cannot be read, or has no caption; or a caption is empty, too long, or not text.
        """
        return cls.parse(read_text(Path(path), limit=MAX_BYTES), str(path), Path(path).suffix)

    @classmethod
    def parse(cls, text: str, name: str = "library", suffix: str = ".txt") -> "Library":
        """Reads a library from a text, such as that of a form.

        Args:
            text: The content of the file.
            name: Its name, for messages.
            suffix: Its suffix, which states the format.

        Raises:
            DataError: As ``read``.
        """
        return _checked(rows_of(text, name, suffix), name)

    @classmethod
    def of(
        cls,
        captions: Sequence[str],
        descriptions: Sequence[str] | None = None,
        themes: Sequence[str] | None = None,
        name: str = "library",
    ) -> "Library":
        """Makes a library of captions, each with its description and theme, which may be empty.

        Raises:
            DataError: As ``read``; or the lists differ in length.
        """
        lists = [captions, descriptions or [""] * len(captions), themes or [""] * len(captions)]
        if len({len(one) for one in lists}) != 1:
            raise DataError(f"{name}: captions, descriptions and themes differ in number")
        rows = (
            Row(f"entry {n}", dict(zip(COLUMNS, row, strict=True)))
            for n, row in enumerate(zip(*lists, strict=True), start=1)
        )
        return _checked(rows, name)

    @classmethod
    def example(cls) -> "Library":
        """Returns the library that comes with capsmith."""
        return cls.read(EXAMPLE)

    @property
    def texts(self) -> tuple[str, ...]:
        """What is matched with photographs: the descriptions, or the captions that have none."""
        return tuple(d or c for c, d in zip(self.captions, self.descriptions, strict=True))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return content_hash(
            part for row in zip(self.captions, self.descriptions, self.themes, strict=True) for part in row
        )

    @cached_property
    def theme_counts(self) -> dict[str, int]:
        """The number of captions of each theme, in the order of the file."""
        return dict(Counter(theme for theme in self.themes if theme))

    def rows_of_themes(self, themes: Sequence[str]) -> list[int]:
        """Returns the rows with one of these themes; case, spaces and dashes do not matter.

        Raises:
            ConfigError: A theme does not exist.
        """
        known = {folded(theme): theme for theme in self.theme_counts}
        for theme in themes:
            if folded(theme) not in known:
                have = f"themes: {', '.join(self.theme_counts):.300}" if known else "no caption has a theme"
                raise ConfigError(f"{self.name} has no theme '{theme}'{nearest(theme, self.theme_counts)} ({have})")
        wanted = {folded(theme) for theme in themes}
        return [row for row, theme in enumerate(self.themes) if folded(theme) in wanted]

    def __len__(self) -> int:
        return len(self.captions)


def content_hash(texts: Iterable[str]) -> str:
    """Returns a hash of texts and their order."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def _checked(rows: Iterable[Row], name: str) -> Library:
    """Returns the library of these rows; the error names the first row that cannot be used, and counts the others."""
    kept: dict[tuple[str, ...], None] = {}
    problems: list[str] = []
    count = repeated = 0
    for row in rows:
        count += 1
        if count > MAX_CAPTIONS:
            raise DataError(f"{name} has more than {MAX_CAPTIONS:,} captions: use a smaller library")
        cleaned = {column: _clean(row.values.get(column)) for column in COLUMNS} if not row.problem else {}
        problem = row.problem or _problem(row, cleaned)
        if problem:
            problems.append(f"{row.where}: {problem}")
            continue
        key = tuple(cleaned[column] for column in COLUMNS)
        repeated += key in kept
        kept[key] = None
    if problems:
        more = f" (and {len(problems) - 1:,} more such rows)" if len(problems) > 1 else ""
        raise DataError(f"{name}, {problems[0]}{more}")
    if not kept:
        raise DataError(f"{name} is empty: write a caption a line, or a table with the columns {', '.join(COLUMNS)}")
    notes = (f"{name}: {repeated:,} repeated row{'s' * (repeated > 1)} left out",) if repeated else ()
    captions, descriptions, themes = zip(*kept, strict=True)
    return Library(captions, descriptions, themes, name, notes)


def _clean(value: object) -> str:
    """Returns a text in form NFC on one line; empty for None, and for values that are not text."""
    return " ".join(nfc(value).split()) if value and isinstance(value, str) else ""


def _problem(row: Row, cleaned: dict[str, str]) -> str:
    for column in COLUMNS:
        value, text = row.values.get(column), cleaned[column]
        if value is not None and not isinstance(value, str):
            return f"the {column} is not text"
        if len(text) > MAX_CHARACTERS[column]:
            return f"the {column} has {len(text):,} characters, and {MAX_CHARACTERS[column]:,} are allowed"
        if not text.isprintable() and (bad := next((c for c in text if _is_control(c)), "")):
            return f"the {column} has the control character {bad!r}"
    return "" if cleaned[CAPTION] else "the caption is empty"


def _is_control(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs")
