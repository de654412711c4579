"""Detects how a table of captions is laid out: delimiter, header line, and the contents of each column.

Each delimiter is tried on the first rows. The one for which the most rows name an existing image is chosen.
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
from capsmith.data.records import DatasetConfig
from capsmith.data.table_rows import SEPARATORS, separated
from capsmith.data.tables import read_table

_ROWS = 300  # rows that are inspected
_CELLS = 400_000  # fields that are inspected
_ENOUGH = 0.5  # share of the inspected rows whose image must exist, or of the images that must have rows
_MIN_IMAGES = 3  # images that a file must name if most of its rows name missing ones
_MAX_IMAGE_COLUMNS = 100  # columns with image names that are compared
_MAX_UNUSED = 20  # unused columns that are reported
_MARK_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}


@dataclass(frozen=True)
class DatasetLayout:
    """The layout of a dataset.

    Attributes:
        config: The settings that read it.
        has_splits: Whether the files define splits.
        unused_columns: Columns that are not read.
        other_files: Other files with captions that could be read instead.
        matches: Number of inspected rows whose image exists.
    """

    config: DatasetConfig
    has_splits: bool
    unused_columns: tuple[str, ...] = ()
    other_files: tuple[str, ...] = ()
    matches: int = 0


def table_layout(path: Path, name: Path, known: KnownImages) -> DatasetLayout:
    """Returns the layout of delimited text.

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
        raise DataError(f"{path} contains only comments")
    layouts: list[DatasetLayout] = []
    reasons: list[tuple[float, str]] = []
    for mark in body.delimiter or "\t;|, ":
        candidate = _candidate(path, name, body, mark, known)
        if candidate is None or (mark == " " and layouts):
            continue  # a space after the first word of each line is used only if no other delimiter fits
        try:
            layouts.append(candidate.layout())
        except DataError as error:
            reasons.append((candidate.complete_share, str(error)))
    if not layouts:
        no_table = f"{path} is not a table: its lines have no columns separated by , ; | or tabs"
        raise DataError(max(reasons, key=lambda reason: reason[0], default=(0.0, no_table))[1])
    return max(layouts, key=lambda layout: layout.matches)


def json_layout(path: Path, name: Path, known: KnownImages, reopen: Callable[[], Table]) -> DatasetLayout:
    """Returns the layout of a JSON table, like ``table_layout``; each call of ``reopen`` opens it again."""
    return _Candidate(path, name, known, reopen).layout()


def _candidate(path: Path, name: Path, body: Body, mark: str, known: KnownImages) -> "_Candidate | None":
    """Returns the text split into fields by one delimiter; None if its first line has one field."""
    first = next(read_lines(body.text, mark, body.first), None)
    if first is None or len(first.fields) < 2:
        return None
    usual = {field.lower() for field in first.fields} & {*CAPTION, *IMAGE, "split"}
    names_image = [is_file_name(field) or (field in known and not usual) for field in first.fields]
    if mark == " " and not names_image[0]:
        return None
    return _Candidate(path, name, known, lambda: open_delimited(path, body, mark, not any(names_image)), body)


class _Candidate:
    """One way to split a file into rows and fields.

    Args:
        path: The file.
        name: Its path in the config.
        known: The images that it may name.
        reopen: Opens the table again.
        body: The text, if it is delimited.

    Attributes:
        complete_share: Share of the inspected rows with as many fields as there are columns.
    """

    def __init__(
        self, path: Path, name: Path, known: KnownImages, reopen: Callable[[], Table], body: Body | None = None
    ) -> None:
        self.path, self.name, self.known, self.reopen, self.body = path, name, known, reopen, body
        self.table = reopen()
        count = max(_MAX_UNUSED, min(_ROWS, _CELLS // max(len(self.table.columns), 1)))
        self.rows: list[TableRow] = list(itertools.islice(self.table.rows, count))
        self.complete_share = sum(row.values is not None for row in self.rows) / max(len(self.rows), 1)

    def layout(self) -> DatasetLayout:
        """Returns the layout.

        Raises:
            DataError: Most rows differ from the first in their number of fields, or no column names images.
        """
        if not self.rows or not self.table.columns:
            raise DataError(f"{self.path} has no rows")
        reasons = []
        for column in self._surplus_columns():
            parsed = (row.values or (self.table.with_rest(row, column) if column else None) for row in self.rows)
            rows = [values for values in parsed if values is not None]
            if len(rows) < _ENOUGH * len(self.rows):
                raise DataError(self._uneven())
            try:
                return self._from_columns({name: [row.get(name) for row in rows] for name in self.table.columns})
            except DataError as error:
                reasons.append(str(error))
        raise DataError(reasons[0])

    def _surplus_columns(self) -> Iterator[str]:
        """Yields the columns that may contain unquoted delimiters: the caption column by name, the last, the first."""
        columns = self.table.columns
        if self.complete_share == 1:
            return iter(("",))
        named = [column for column in columns if rank(column, CAPTION)[0] < len(CAPTION)] if self.table.header else []
        return iter(dict.fromkeys((*named[:1], columns[-1], columns[0])))

    def _uneven(self) -> str:
        """Returns the message about rows with more or fewer fields than there are columns."""
        width, line = len(self.table.columns), self.rows[0].line
        counts = [len(row.line.fields) for row in self.rows if row.line is not None]
        for mark, mark_name in _MARK_NAMES.items():
            if line is not None and mark != self.table.delimiter and self.body is not None:
                sample = itertools.islice(read_lines(self.body.text, mark), 1, _MAX_UNUSED)
                fitting = sum(len(other.fields) == width for other in sample)
                if fitting > _ENOUGH * min(len(counts), _MAX_UNUSED - 1):
                    first = _MARK_NAMES.get(self.table.delimiter, "blanks")
                    return f"{self.path}: its first line is separated by {first}, but the lines after it by {mark_name}"
        return (
            f"{self.path}: its first line has {width} columns, but most rows have a different number "
            f"({min(counts)} to {max(counts)}): quote fields that contain the separator"
        )

    def _from_columns(self, columns: dict[str, list[Any]]) -> DatasetLayout:
        """Derives the layout from the values of each column in the inspected rows."""
        images, table = self.known.images, self.table
        texts = {column: texts_of(values) for column, values in columns.items()}
        matches = self._image_columns(texts, len(next(iter(columns.values()))))
        image = min(matches, key=lambda column: (-matches[column][1], *rank(column, IMAGE)))
        split = next((name for name, values in columns.items() if name not in matches and are_splits(values)), None)
        free = {name: values for name, values in columns.items() if name not in matches and name != split}
        captions = self._captions(free)
        if not captions:
            names = f"{', '.join(table.columns[:50]):.100}"
            raise DataError(f"{self.path} has no column with captions (columns found: {names})")
        config = FolderConfig(
            root=images.folder,
            captions=self.name,
            images=matches[image][0],
            image_column=image,
            caption_column=captions[0] if len(captions) == 1 else captions,
            split_column=None if split == "split" else split,
            caption_separator=_separator(texts[captions[0]]) if len(captions) == 1 else None,
        )
        used = {image, split, *captions}
        unused = tuple(itertools.islice((column for column in table.columns if column not in used), _MAX_UNUSED))
        config = config.model_copy(update=self._form(config))
        return DatasetLayout(config, split is not None, unused, matches=matches[image][1])

    def _image_columns(self, texts: dict[str, list[str]], count: int) -> dict[str, tuple[Path, int]]:
        """Returns the columns that name images, each with the image folder and the number of matching rows.

        Args:
            texts: The texts in each column.
            count: Number of inspected rows.

        Raises:
            DataError: No column names images.
        """
        images = self.known.images
        naming = (column for column, values in texts.items() if any(text in self.known for text in values))
        likely = {column: texts[column] for column in itertools.islice(naming, _MAX_IMAGE_COLUMNS)}
        for find_base in (images.base, lambda values: images.base(values, stems=True), self.known.base):
            bases = {column: find_base(values) for column, values in likely.items()}
            matches = {column: base for column, base in bases.items() if base[1] >= max(1, _ENOUGH * count)}
            if matches:
                return matches
        return self._subset(texts)

    def _form(self, config: FolderConfig) -> dict[str, Any]:
        """Returns the settings of delimiter and header line that the reader would not detect."""
        delimiter = next((name for name, mark in DELIMITERS.items() if mark == self.table.delimiter), None)
        if delimiter is None:
            return {}
        if not self.table.header:
            return {"header": False, "delimiter": delimiter}
        columns = (config.image_column, *config.caption_columns)
        try:
            detected = read_table(self.path, {str(n): column for n, column in enumerate(columns)})
        except DataError:
            return {"delimiter": delimiter}
        return {} if detected.delimiter == self.table.delimiter else {"delimiter": delimiter}

    def _captions(self, columns: dict[str, list[Any]]) -> tuple[str, ...]:
        """Returns the caption columns, also by name if the columns have names."""
        if self.table.header or not self.table.delimiter:
            return caption_columns(columns)
        letters = {
            name: sum(sum(map(str.isalpha, text)) for text in texts_of(values)) for name, values in columns.items()
        }
        most = max(letters.values(), default=0)
        return tuple(column for column, count in letters.items() if most and count >= most / 2)

    def _subset(self, texts: dict[str, list[str]]) -> dict[str, tuple[Path, int]]:
        """Returns the image column of a table in which most rows name images that do not exist.

        Raises:
            DataError: There is no such column.
        """
        known, folder = self.known, self.known.images.folder
        hits = {column: sum(text in known for text in values) for column, values in texts.items()}
        files = {column: sum(map(is_file_name, values)) for column, values in texts.items()}
        column = max(texts, key=lambda name: (hits[name], files[name]))
        named = self._all_texts(column) if hits[column] or files[column] else []
        existing = sorted({text for text in named if text in known})
        covered = {path for text in existing for path in known.find(text)}
        if covered and not known.base(existing)[1]:
            raise DataError(self._no_images(texts, column))
        if len(covered) >= max(_MIN_IMAGES, _ENOUGH * len(known.images.paths)):
            bases = (known.images.base(existing), known.images.base(existing, stems=True), known.base(existing))
            return {column: max(bases, key=lambda base: base[1])}
        if covered:
            raise DataError(
                f"{self.path}: only {len(covered):,} of the {len(set(named)):,} images that column '{column}' names "
                f"are below {folder}, which has {len(known.images.paths):,}, such as {min(known.images.paths)}: are "
                "these captions for other images?"
            )
        raise DataError(self._no_images(texts, column))

    def _all_texts(self, column: str) -> list[str]:
        """Returns the texts in a column of all rows, including rows with too many fields."""
        place = self.table.columns.index(column)
        values: list[Any] = []
        for row in self.reopen().rows:
            if row.values is not None:
                values.append(row.values.get(column))
            elif row.line is not None:
                values += row.line.fields[place : place + 1]
        return texts_of(values)

    def _no_images(self, texts: dict[str, list[str]], column: str) -> str:
        """Returns the message for a table in which no column names images."""
        images, values = self.known.images, texts[column]
        example, folder = min(images.paths), images.folder
        if ambiguous := next((text for text in values if len(self.known.find(text)) > 1), ""):
            candidates = " or ".join(self.known.find(ambiguous)[:2])
            return f"{self.path}: names in column '{column}' match several images; write the one meant: {candidates}"
        if values and sum(map(is_file_name, values)) > len(values) / 2:
            form = f"the images below {folder} have names such as {example}: write them like that"
            return f"{self.path}: column '{column}' has names such as {values[0]:.60}, but {form}"
        columns = f"{', '.join(itertools.islice(texts, 50)):.80}"
        return f"{self.path}: no column names images below {folder}, such as {example} (columns: {columns})"


def _separator(texts: Sequence[str]) -> str | None:
    """Returns the separator of several captions in most fields of a column, if there is one."""
    filled = [text for text in texts if text]
    for mark in SEPARATORS:
        parts = (separated(text, mark) for text in filled if mark in text)
        several = sum(sum(any(map(str.isalpha, part)) for part in captions) > 1 for captions in parts)
        if filled and several >= _ENOUGH * len(filled):
            return mark
    return None
