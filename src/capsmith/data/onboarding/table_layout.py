"""How a table of captions is laid out, by what is in it: delimiter, header line, and what each column holds.

Each way to cut the text into fields is tried on its first rows; the one counts by which most rows name an image.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import DataError
from capsmith.core.readers.caption_tables import DELIMITERS, Table, TableRow, open_delimited
from capsmith.core.readers.delimited import Body, body_of, read_lines
from capsmith.core.readers.text_files import read_text
from capsmith.data.folder import FolderConfig
from capsmith.data.image_names import is_file_name
from capsmith.data.onboarding.columns import CAPTION, IMAGE, are_splits, caption_columns, rank, texts_of
from capsmith.data.onboarding.known_images import KnownImages
from capsmith.data.table_rows import SEPARATORS, separated
from capsmith.data.tables import read_table

_ROWS = 300  # rows that are looked at to tell columns apart
_CELLS = 400_000  # fields of them
_ENOUGH = 0.5  # share of rows whose image must be there, or of images that must have rows
_LEAST = 3  # images that a file names where most of its rows name others
_LIKELY = 100  # columns with names of images that are compared
_SHOWN = 20  # columns that are not read, to be told
_CALLED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}


@dataclass(frozen=True)
class Layout:
    """What is where in a table.

    Attributes:
        config: The settings that read it.
        split: The column with the splits, if there is one.
        unused: Columns that are not read.
        found: How many of the rows that were looked at have their image.
    """

    config: FolderConfig
    split: str | None
    unused: tuple[str, ...]
    found: int


def table_layout(path: Path, name: Path, known: KnownImages) -> Layout:
    """Returns how delimited text is read.

    Args:
        path: The file.
        name: Its path in the config.
        known: The images that it may name.

    Raises:
        DataError: It cannot be read as captions of these images; the message says why.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path} is empty")
    body = body_of(text)
    if not body.text.strip():
        raise DataError(f"{path} is empty but for comments")
    found: list[Layout] = []
    reasons: list[tuple[float, str]] = []
    for mark in body.delimiter or "\t;|, ":
        reading = _cut(path, name, body, mark, known)
        if reading is None or (mark == " " and found):
            continue  # the first word of each line names an image: only where nothing else does
        try:
            found.append(reading.layout())
        except DataError as error:
            reasons.append((reading.even, str(error)))
    if not found:
        no_table = f"{path} is not a table: its lines have no columns separated by , ; | or tabs"
        raise DataError(max(reasons, key=lambda reason: reason[0], default=(0.0, no_table))[1])
    return max(found, key=lambda layout: layout.found)


def json_layout(path: Path, name: Path, known: KnownImages, reopen: Callable[[], Table]) -> Layout:
    """Returns how a table of JSON is read, as ``table_layout``; each call of ``reopen`` opens it anew."""
    return _Reading(path, name, known, reopen).layout()


def _cut(path: Path, name: Path, body: Body, mark: str, known: KnownImages) -> "_Reading | None":
    """Returns the text cut into fields by one delimiter; None where its first line has one field."""
    first = next(read_lines(body.text, mark, body.first), None)
    if first is None or len(first.fields) < 2:
        return None
    usual = {one.lower() for one in first.fields} & {*CAPTION, *IMAGE, "split"}
    row = [is_file_name(one) or (one in known and not usual) for one in first.fields]
    if mark == " " and not row[0]:
        return None
    return _Reading(path, name, known, lambda: open_delimited(path, body, mark, not any(row)), body)


class _Reading:
    """One way to cut a file into rows and fields.

    Args:
        path: The file.
        name: Its path in the config.
        known: The images that it may name.
        reopen: Opens the table anew.
        body: The text, where it is delimited.
    """

    def __init__(
        self, path: Path, name: Path, known: KnownImages, reopen: Callable[[], Table], body: Body | None = None
    ) -> None:
        self.path, self.name, self.known, self.reopen, self.body = path, name, known, reopen, body
        self.table = reopen()
        count = max(_SHOWN, min(_ROWS, _CELLS // max(len(self.table.columns), 1)))
        self.rows: list[TableRow] = list(itertools.islice(self.table.rows, count))
        self.even = sum(row.values is not None for row in self.rows) / max(len(self.rows), 1)

    def layout(self) -> Layout:
        """Returns what is where.

        Raises:
            DataError: Most rows have another number of fields than the first, or no column names images.
        """
        if not self.rows or not self.table.columns:
            raise DataError(f"{self.path} has no rows")
        reasons = []
        for place in self._surplus():
            usable = (row.values or (self.table.with_rest(row, place) if place else None) for row in self.rows)
            values = [one for one in usable if one is not None]
            if len(values) < _ENOUGH * len(self.rows):
                raise DataError(self._uneven())
            try:
                return self._columns({column: [one.get(column) for one in values] for column in self.table.columns})
            except DataError as error:
                reasons.append(str(error))
        raise DataError(reasons[0])

    def _surplus(self) -> Iterator[str]:
        """Yields the columns that surplus fields may belong to: what is called a caption, the last, the first."""
        columns = self.table.columns
        if self.even == 1:
            return iter(("",))
        named = [column for column in columns if rank(column, CAPTION)[0] < len(CAPTION)] if self.table.header else []
        return iter(dict.fromkeys((*named[:1], columns[-1], columns[0])))

    def _uneven(self) -> str:
        """Returns what is wrong with rows that have more or fewer fields than there are columns."""
        width, line = len(self.table.columns), self.rows[0].line
        counts = [len(row.line.fields) for row in self.rows if row.line is not None]
        for mark, called in _CALLED.items():
            if line is not None and mark != self.table.delimiter and self.body is not None:
                some = itertools.islice(read_lines(self.body.text, mark), 1, _SHOWN)
                if sum(len(one.fields) == width for one in some) > _ENOUGH * min(len(counts), _SHOWN - 1):
                    first = _CALLED.get(self.table.delimiter, "blanks")
                    return f"{self.path}: its first line is separated by {first}, but the lines after it by {called}"
        return (
            f"{self.path}: its first line has {width} columns, but most rows have others "
            f"({min(counts)} to {max(counts)}): put fields that hold the separator in quotes"
        )

    def _columns(self, columns: dict[str, list[Any]]) -> Layout:
        """Returns what is where, by the values of each column in some rows."""
        images, table = self.known.images, self.table
        count = len(next(iter(columns.values())))
        texts = {column: texts_of(values) for column, values in columns.items()}
        naming = (column for column, some in texts.items() if any(text in self.known for text in some))
        likely = {column: texts[column] for column in itertools.islice(naming, _LIKELY)}
        for look in (images.base, lambda some: images.base(some, stems=True), self.known.base):
            seen = {column: look(some) for column, some in likely.items()}
            named = [column for column, (_, found) in seen.items() if found >= max(1, _ENOUGH * count)]
            if named:
                break
        else:
            seen = self._subset(texts)
            named = list(seen)
        image = min(named, key=lambda column: (-seen[column][1], *rank(column, IMAGE)))
        taken = set(named)
        split = next((column for column, some in columns.items() if column not in taken and are_splits(some)), None)
        captions = self._captions({column: some for column, some in columns.items() if column not in taken | {split}})
        if not captions:
            found = f"{', '.join(table.columns[:50]):.100}"
            raise DataError(f"{self.path} has no column with captions (columns found: {found})")
        config = FolderConfig(
            root=images.folder,
            captions=self.name,
            images=seen[image][0],
            image_column=image,
            caption_column=captions[0] if len(captions) == 1 else captions,
            split_column=None if split == "split" else split,
            caption_separator=_separator(texts[captions[0]]) if len(captions) == 1 else None,
        )
        used = {image, split, *captions}
        unused = tuple(itertools.islice((column for column in table.columns if column not in used), _SHOWN))
        return Layout(config.model_copy(update=self._form(config)), split, unused, seen[image][1])

    def _form(self, config: FolderConfig) -> dict[str, Any]:
        """Returns the settings for delimiter and header line, where a reader would not find them by itself."""
        delimiter = next((name for name, mark in DELIMITERS.items() if mark == self.table.delimiter), None)
        if delimiter is None:
            return {}
        if not self.table.header:
            return {"header": False, "delimiter": delimiter}
        captions = (config.caption_column,) if isinstance(config.caption_column, str) else config.caption_column
        try:
            same = read_table(self.path, {str(n): c for n, c in enumerate((config.image_column, *captions))})
        except DataError:
            return {"delimiter": delimiter}
        return {} if same.delimiter == self.table.delimiter else {"delimiter": delimiter}

    def _captions(self, columns: dict[str, list[Any]]) -> tuple[str, ...]:
        """Returns the columns with captions: by their names too, where they have some."""
        if self.table.header or not self.table.delimiter:
            return caption_columns(columns, ())
        letters = {c: sum(sum(map(str.isalpha, text)) for text in texts_of(some)) for c, some in columns.items()}
        most = max(letters.values(), default=0)
        return tuple(column for column, count in letters.items() if most and count >= most / 2)

    def _subset(self, texts: dict[str, list[str]]) -> dict[str, tuple[Path, int]]:
        """Returns the column that names the images where most of its rows name others, which are not there.

        Raises:
            DataError: There is no such column.
        """
        known, folder = self.known, self.known.images.folder
        hits = {column: sum(text in known for text in some) for column, some in texts.items()}
        files = {column: sum(map(is_file_name, some)) for column, some in texts.items()}
        column = max(texts, key=lambda one: (hits[one], files[one]))
        every = self._whole(column) if hits[column] or files[column] else []
        there = sorted({text for text in every if text in known})
        covered = {path for text in there for path in known.called(text)}
        if covered and not known.base(there)[1]:
            raise DataError(self._unmatched(texts, column))
        if len(covered) >= max(_LEAST, _ENOUGH * len(known.images.paths)):
            looks = (known.images.base(there), known.images.base(there, stems=True), known.base(there))
            return {column: max(looks, key=lambda look: look[1])}
        if covered:
            raise DataError(
                f"{self.path}: only {len(covered):,} of the {len(set(every)):,} images that column '{column}' names "
                f"are below {folder}, which has {len(known.images.paths):,}, such as {min(known.images.paths)}: are "
                "these captions of other images?"
            )
        raise DataError(self._unmatched(texts, column))

    def _whole(self, column: str) -> list[str]:
        """Returns the texts in a column of all rows, those with too many fields too."""
        place = self.table.columns.index(column)
        values: list[Any] = []
        for row in self.reopen().rows:
            if row.values is not None:
                values.append(row.values.get(column))
            elif row.line is not None:
                values += row.line.fields[place : place + 1]
        return texts_of(values)

    def _unmatched(self, texts: dict[str, list[str]], column: str) -> str:
        """Returns why no column names images."""
        images, some = self.known.images, texts[column]
        example, folder = min(images.paths), images.folder
        if several := next((text for text in some if len(self.known.called(text)) > 1), ""):
            which = " or ".join(self.known.called(several)[:2])
            return f"{self.path}: the names in column '{column}' have no ending; write which is meant: {which}"
        if some and sum(map(is_file_name, some)) > len(some) / 2:
            called = f"the images below {folder} are called like {example}: write them so"
            return f"{self.path}: column '{column}' has names such as {some[0]:.60}, but {called}"
        columns = f"{', '.join(itertools.islice(texts, 50)):.80}"
        return f"{self.path}: no column names images below {folder}, such as {example} (columns: {columns})"


def _separator(texts: Sequence[str]) -> str | None:
    """Returns what separates several captions in most fields of a column, if anything does."""
    filled = [text for text in texts if text]
    for mark in SEPARATORS:
        parts = (separated(text, mark) for text in filled if mark in text)
        several = sum(sum(any(map(str.isalpha, part)) for part in some) > 1 for some in parts)
        if filled and several >= _ENOUGH * len(filled):
            return mark
    return None
