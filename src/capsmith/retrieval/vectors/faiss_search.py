"""Approximate search with faiss: a part of the stored vectors is compared, and the best of them exactly.

M stored vectors · Q queries · d dimensions · k neighbours · C lists.
"""

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError, FeatureError
from capsmith.core.locks import locked
from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors import list_files
from capsmith.retrieval.vectors.checks import checked_queries, checked_rows, require_vectors
from capsmith.retrieval.vectors.fingerprint import fingerprint
from capsmith.retrieval.vectors.inverted_lists import InvertedLists, Quantizer, bound_threads, import_faiss
from capsmith.retrieval.vectors.rescoring import nearest_of

_COMPARED = 2**15  # vectors with which a query is compared, about: two to four milliseconds
_SPARE = 32  # candidates besides 2k: codes of 8 bits rank approximately
_FEW = 16  # a subset of at most 1/16 of the vectors is searched exactly
_MAX_PARTS = 16
_MAX_GROWTH = 2  # with more than this times the vectors that were trained on, lists are trained again


class FaissSearch:
    """Implements ``VectorSearch`` approximately; needs the extra ``faiss``.

    Cosines are exact, but some of the k nearest may be missed: their recall is measured by
    ``benchmarks/vector_search.py``.

    Args:
        vectors: Unit vectors (M, d), float16 or float32; an array or a memory map, which must not change.
        quantizer: The trained quantizer.
        parts: All vectors, encoded.

    Raises:
        MissingExtraError: faiss is not installed.
    """

    def __init__(self, vectors: np.ndarray, quantizer: Quantizer, parts: Iterable[InvertedLists]) -> None:
        self.vectors = vectors
        self._index = quantizer.index()
        for part in parts:
            part.add_to(self._index)

    @classmethod
    def build(cls, vectors: np.ndarray, folder: Path | None = None) -> "FaissSearch":
        """Trains and encodes: about a minute for a million vectors on two cores.

        Args:
            vectors: Unit vectors (M, d).
            folder: Where the result is kept; None keeps nothing. What it held before is replaced.

        Raises:
            FeatureError: The vectors are not finite unit vectors, or another process writes into the folder.
        """
        require_vectors(vectors)
        import_faiss()
        with _writing(folder):
            quantizer = Quantizer.train(vectors)
            lists = quantizer.encode(vectors, 0)
            if folder is not None:
                list_files.write(folder, quantizer, lists, fingerprint(vectors))
        return cls(vectors, quantizer, [lists])

    @classmethod
    def load(cls, vectors: np.ndarray, folder: Path) -> "FaissSearch":
        """Loads what ``build`` kept. Vectors that were appended since are added, and kept.

        Args:
            vectors: Unit vectors (M, d).
            folder: The folder.

        Raises:
            FeatureError: The folder is damaged, or belongs to other vectors; or there are too many new ones, so that it
                must be built again.
        """
        require_vectors(vectors)
        import_faiss()
        manifest = list_files.read_manifest(folder)
        if not manifest.rows <= len(vectors) or manifest.fingerprint != fingerprint(vectors[: manifest.rows]):
            raise FeatureError(f"{folder} belongs to other vectors")
        new = len(vectors) > manifest.rows
        if new and (len(vectors) > _MAX_GROWTH * manifest.trained_rows or len(manifest.parts) >= _MAX_PARTS):
            raise FeatureError(f"{folder} is made for fewer vectors")
        quantizer, parts = list_files.read(folder, manifest, vectors.shape[1])
        if new:
            added = quantizer.encode(vectors[manifest.rows :], manifest.rows)
            parts.append(added)
            with contextlib.suppress(CapsmithError), _writing(folder):  # keeping them only saves time
                if list_files.read_manifest(folder) == manifest:  # unless another process has just added them
                    list_files.append(folder, manifest, added, fingerprint(vectors))
        return cls(vectors, quantizer, parts)

    @classmethod
    def open(cls, vectors: np.ndarray, folder: Path | None) -> "FaissSearch":
        """Loads what a folder holds for these vectors, or builds it; raises as ``build``.

        If the folder cannot be written, or another process is writing into it, nothing is kept.
        """
        if folder is not None:
            for source in (cls.load, cls.build):
                with contextlib.suppress(FeatureError):
                    return source(vectors, folder)
        return cls.build(vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def nearest(self, queries: np.ndarray, k: int, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See ``VectorSearch.nearest``. Of a small subset, all rows are compared exactly."""
        queries = checked_queries(queries, self.vectors.shape[1])
        if rows is not None:
            rows = checked_rows(rows, len(self))
        count = len(self) if rows is None else len(rows)
        k = max(0, min(k, count))
        found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        if k == 0 or not len(queries):
            return found
        if rows is not None and count * _FEW <= len(self):
            candidates = [rows] * len(queries)
        else:
            candidates = self._candidates(queries, k, min(count, 2 * k + _SPARE), rows)
        with ThreadPoolExecutor(default_threads()) as pool:
            for n, some in enumerate(candidates):
                found[0][n], found[1][n] = nearest_of(pool, self.vectors, some, queries[n], k)
        return found

    def _candidates(self, queries: np.ndarray, k: int, wanted: int, rows: np.ndarray | None) -> list[np.ndarray]:
        """Returns at least k candidates of each query; where lists are short of them, more lists are searched."""
        faiss = import_faiss()
        bound_threads()
        options: dict[str, Any] = {}
        if rows is not None:
            allowed = np.zeros(len(self), bool)
            allowed[rows] = True
            bits = np.packbits(allowed, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        candidates: list[np.ndarray] = [np.empty(0, np.int64)] * len(queries)
        short = np.arange(len(queries))
        probes = 1 + self._index.nlist * _COMPARED // len(self)
        while len(short):
            probes = min(probes, self._index.nlist)
            parameters = faiss.SearchParametersIVF(nprobe=probes, **options)
            _, ids = self._index.search(queries[short], wanted, params=parameters)
            for n, found in zip(short, ids, strict=True):
                candidates[n] = found[found >= 0]
            if probes == self._index.nlist:
                break
            short = np.array([n for n in short if len(candidates[n]) < k], np.int64)
            probes *= 4
        return candidates


@contextlib.contextmanager
def _writing(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    with contextlib.suppress(OSError):  # the lock file says what is wrong
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, f"another process is building {folder}; try again when it is done", FeatureError):
        yield
