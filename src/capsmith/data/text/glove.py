"""Word vectors from a GloVe text file (Pennington et al. 2014): ``word 0.1 -0.2 …``, one word per line.

The file is streamed; only the vectors of the vocabulary's words are kept in memory. Text files of word2vec and
fastText, which begin with a line ``count size``, are read too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from capsmith.core.errors import DataError
from capsmith.core.readers.regular_files import open_regular
from capsmith.data.text.vocabulary import PAD, SPECIALS, Vocabulary

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]
_NUMBER_BYTES = b"0123456789+-.eE "
_LONGEST_LINE = 2**20
_LARGEST = 1e30  # larger numbers, NaN and infinity mean that the file is damaged


@dataclass(frozen=True)
class Coverage:
    """The coverage of a vocabulary by word vectors.

    Attributes:
        known: Number of words with a vector.
        total: Size of the vocabulary without special words.
        token_share: Share of the training tokens that have a vector.
        missing: The most frequent words without a vector, at most ten.
    """

    known: int
    total: int
    token_share: float
    missing: tuple[str, ...]

    def __str__(self) -> str:
        line = f"{self.known} of {self.total} words have a vector, {self.token_share:.1%} of the text"
        return line + (f"; most frequent without: {', '.join(self.missing)}" if self.missing else "")


def load_vectors(path: Path, vocabulary: Vocabulary, size: int, seed: int = 0) -> tuple[Matrix, Coverage]:
    """Returns initial weights of an embedding.

    Args:
        path: The text file.
        vocabulary: The words to look up.
        size: Dimension of the vectors; the file must have the same.
        seed: Seed for words without a vector: they are drawn from a normal distribution with the mean and standard
            deviation of the vectors that were found.

    Returns:
        The vectors (V, size), with zeros for padding, and the coverage of the vocabulary.

    Raises:
        DataError: The file is missing, has vectors of another dimension or a damaged line, or has none of the words.
    """
    ids = {word.encode(): index for index, word in enumerate(vocabulary.words) if word not in SPECIALS}
    vectors_by_id: dict[int, Vector] = {}
    try:
        with open_regular(path) as file:
            for line_number, word, numbers in _lines(file, path, size):
                index = ids.get(word)
                if index is None or index in vectors_by_id:
                    continue
                vector = _parse(numbers)
                if vector is None:
                    raise _damaged(path, line_number, word, size)
                vectors_by_id[index] = vector
    except OSError as cause:
        raise DataError(f"cannot read the word vectors {path}: {cause.strerror or cause}") from cause
    if not vectors_by_id:
        raise DataError(
            f"{path} has none of the vocabulary's {len(ids)} words: is the file for another language or case?"
        )
    known = np.stack(list(vectors_by_id.values()))
    random = np.random.default_rng(seed)
    vectors = random.normal(known.mean(), known.std(), (len(vocabulary), size)).astype(np.float32)
    vectors[list(vectors_by_id)] = known
    vectors[PAD] = 0.0
    return vectors, _coverage(vocabulary, vectors_by_id.keys())


def _coverage(vocabulary: Vocabulary, known: Collection[int]) -> Coverage:
    words = range(len(SPECIALS), len(vocabulary))
    covered = sum(vocabulary.counts[index] for index in known)
    tokens = sum(vocabulary.counts[index] for index in words)
    missing = sorted((i for i in words if i not in known), key=lambda i: (-vocabulary.counts[i], i))
    return Coverage(
        known=len(known),
        total=len(words),
        token_share=covered / tokens if tokens else len(known) / max(1, len(words)),
        missing=tuple(vocabulary.words[index] for index in missing[:10]),
    )


def _lines(file: BinaryIO, path: Path, size: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields line number, word and numbers (as text); checks the count of numbers."""
    first = True
    for line_number, raw in enumerate(iter(partial(file.readline, _LONGEST_LINE), b""), start=1):
        if len(raw) == _LONGEST_LINE:
            raise DataError(f"{path}, line {line_number}: longer than {_LONGEST_LINE:,} bytes: is it a text file?")
        if line_number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            _check_kind(raw, path)
            if size != 1 and _is_header(raw):
                _check_size(int(raw.split()[1]), path, size)
                continue
        line = raw.rstrip().replace(b"\t", b" ")
        if not line:
            continue
        word, _, numbers = line.partition(b" ")
        fields = line.count(b" ")
        if first and fields != size and _parse(numbers) is not None:
            _check_size(fields, path, size)
        if fields > size and _parse(numbers) is None:  # glove.840B has words with spaces inside
            word, *rest = line.rsplit(b" ", size)
            numbers = b" ".join(rest)
        elif fields != size:
            raise _damaged(path, line_number, word, size)
        if numbers.translate(None, _NUMBER_BYTES):
            raise _damaged(path, line_number, word, size)
        first = False
        yield line_number, word, numbers


def _parse(numbers: bytes) -> Vector | None:
    try:
        values = [float(field) for field in numbers.split(b" ")]
    except ValueError:
        return None
    return np.asarray(values, dtype=np.float32) if all(abs(value) < _LARGEST for value in values) else None


def _damaged(path: Path, line_number: int, word: bytes, size: int) -> DataError:
    shown = word.decode(errors="replace")[:40]
    return DataError(
        f"{path}, line {line_number}: '{shown}' is not followed by {size} numbers: "
        "correct the line, or download the file again"
    )


def _check_kind(first: bytes, path: Path) -> None:
    if first[:2] in (b"\x1f\x8b", b"PK"):
        raise DataError(f"{path} is compressed: unpack it, and use the text file inside")
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16 text: save it as UTF-8")


def _is_header(line: bytes) -> bool:
    parts = line.split()
    return len(parts) == 2 and all(part.isdigit() for part in parts)


def _check_size(dimension: int, path: Path, size: int) -> None:
    if dimension != size:
        raise DataError(
            f"{path} has {dimension} numbers per word, but the config's embedding size is {size}: change one of the two"
        )
