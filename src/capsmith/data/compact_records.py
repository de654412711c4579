"""Records of a large data set in flat buffers: a `Record` is made when it is used, and not kept.

An image with five captions takes about 400 bytes here, and some 2,500 as objects.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from capsmith.core.errors import DataError
from capsmith.data.records import SPLITS, LazyRecords, Record

_CODES = ("", *SPLITS)


class _Texts:
    """A list of texts in one buffer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> None:
        self._buffer += text.encode()
        self._ends.append(len(self._buffer))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> str:
        return self._buffer[self._ends[place] : self._ends[place + 1]].decode()


class CompactRecords(LazyRecords):
    """Records of images below one folder, in order.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ids, self._places, self._captions = _Texts(), _Texts(), _Texts()
        self._first = array("Q", [0])
        self._splits = bytearray()
        self._chosen: np.ndarray | None = None  # of a selection

    def append(self, image_id: str, place: str, captions: Sequence[str], split: str) -> None:
        """Adds a record.

        Args:
            image_id: Its id.
            place: The path of the image below the folder.
            captions: The captions.
            split: ``train``, ``dev``, ``test`` or an empty string.
        """
        assert self._chosen is None  # noqa: S101 - a selection is not changed
        self._ids.append(image_id)
        self._places.append("" if place == image_id else place)
        for caption in captions:
            self._captions.append(caption)
        self._first.append(len(self._captions))
        self._splits.append(_CODES.index(split))

    def __len__(self) -> int:
        return len(self._ids) if self._chosen is None else len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "CompactRecords": ...

    def __getitem__(self, index: int | slice) -> "Record | CompactRecords":
        if isinstance(index, slice):
            return self.select(np.arange(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._record(self._place(index % len(self)))

    def __iter__(self) -> Iterator[Record]:
        places = range(len(self._ids)) if self._chosen is None else map(int, self._chosen)
        return map(self._record, places)

    def image_id(self, index: int) -> str:
        """Returns the id of a record."""
        return self._ids[self._place(index)]

    def select(self, indices: np.ndarray) -> "CompactRecords":
        """Returns some of the records; they share the buffers.

        Args:
            indices: Their places.
        """
        chosen = np.asarray(indices, np.int64)
        return self._with(chosen if self._chosen is None else self._chosen[chosen], self._splits)

    def split(self, name: str) -> "CompactRecords":
        """Returns the records of a split."""
        return self.select(np.flatnonzero(self._codes() == _CODES.index(name)))

    def in_splits(self, splits: np.ndarray) -> "CompactRecords":
        """Returns the records in other splits.

        Args:
            splits: For each record, the place of its split in ("", "train", "dev", "test").
        """
        codes = bytearray(self._splits)
        np.frombuffer(codes, np.uint8)[self._chosen if self._chosen is not None else slice(None)] = splits
        return self._with(self._chosen, codes)

    def merged(self) -> "CompactRecords":
        """Returns one record for each id: records with the same id are one image, and their captions are joined.

        Raises:
            DataError: They are in different splits.
        """
        hashes = np.fromiter((hash(self.image_id(index)) for index in range(len(self))), np.int64, len(self))
        sorter = np.argsort(hashes, kind="stable")
        equal = hashes[sorter][1:] == hashes[sorter][:-1]
        if not equal.any():
            return self
        parts: dict[str, list[int]] = {}  # of ids that may be repeated
        for index in np.sort(sorter[np.r_[equal, False] | np.r_[False, equal]]):
            parts.setdefault(self.image_id(int(index)), []).append(int(index))
        joined = CompactRecords(self._root)
        for index, record in enumerate(self):
            places = parts.get(record.image_id, [index])
            if places[0] == index:
                records = [self[place] for place in places]
                if other := next((one for one in records if one.split != record.split), None):
                    raise DataError(f"{record.image_id} is in {record.split or 'no split'} and in {other.split}")
                captions = [caption for one in records for caption in one.captions]
                joined.append(record.image_id, self._path_of(self._place(index)), captions, record.split)
        return joined

    def _with(self, chosen: np.ndarray | None, splits: bytearray) -> "CompactRecords":
        other = CompactRecords(self._root)
        other._ids, other._places, other._captions, other._first = self._ids, self._places, self._captions, self._first
        other._splits, other._chosen = splits, chosen
        return other

    def _codes(self) -> np.ndarray:
        codes = np.frombuffer(self._splits, np.uint8)
        return codes if self._chosen is None else codes[self._chosen]

    def _place(self, index: int) -> int:
        return index if self._chosen is None else int(self._chosen[index])

    def _path_of(self, place: int) -> str:
        return self._places[place] or self._ids[place]

    def _record(self, place: int) -> Record:
        captions = tuple(self._captions[number] for number in range(self._first[place], self._first[place + 1]))
        path = self._root / self._path_of(place)
        return Record(self._ids[place], path, captions, _CODES[self._splits[place]])
