"""An inverted file of vectors in 8 bits: NumPy arrays that become a faiss index.

M stored vectors · d dimensions · C lists.

The vectors are divided among the C centroids of a k-means. A query is compared with the vectors of the lists whose
centroids are nearest. faiss trains, encodes and searches; its files are neither written nor read, because a damaged
one can crash the process.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmith.core.errors import MissingExtraError
from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import blocks
from capsmith.retrieval.vectors.checks import require_unit

_PER_LIST = 64  # vectors that k-means sees of each list
_ITERATIONS = 8
_SEED = 1234


def import_faiss() -> Any:
    """Imports faiss.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "faiss", "approximate search") from error
    return faiss


def bound_threads() -> None:
    """Lets faiss use the cores that this process may use. The setting belongs to the calling thread."""
    import_faiss().omp_set_num_threads(default_threads())


@dataclass(frozen=True)
class Quantizer:
    """What is trained.

    Attributes:
        centroids: float32 (C, d).
        ranges: Smallest value and width of the range of each dimension, float32 (2d,).
    """

    centroids: np.ndarray
    ranges: np.ndarray

    @classmethod
    def train(cls, vectors: np.ndarray) -> "Quantizer":
        """Trains on a sample of vectors (M, d): C is about the square root of M.

        Raises:
            FeatureError: The vectors are not finite unit vectors.
        """
        faiss = import_faiss()
        bound_threads()
        for first, last in blocks(*vectors.shape):
            require_unit(vectors[first:last].astype(np.float32), first)
        count = max(1, min(round(math.sqrt(len(vectors))), len(vectors)))
        sample = np.sort(np.random.default_rng(_SEED).permutation(len(vectors))[: count * _PER_LIST])
        values = np.ascontiguousarray(vectors[sample], np.float32)
        if not len(values):
            return cls(np.zeros((1, vectors.shape[1]), np.float32), np.zeros(2 * vectors.shape[1], np.float32))
        index = _empty(faiss, vectors.shape[1], count)
        index.cp.niter, index.cp.seed = _ITERATIONS, _SEED
        index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _PER_LIST
        index.train(values)
        return cls(index.quantizer.reconstruct_n(0, count), faiss.vector_to_array(index.sq.trained))

    def index(self) -> Any:
        """Returns a faiss index without vectors."""
        faiss = import_faiss()
        index = _empty(faiss, self.centroids.shape[1], len(self.centroids))
        index.quantizer.add(self.centroids)
        faiss.copy_array_to_vector(self.ranges, index.sq.trained)
        index.is_trained = True
        return index

    def encode(self, vectors: np.ndarray, first: int) -> "InvertedLists":
        """Assigns vectors to lists and encodes them.

        Args:
            vectors: Vectors (B, d).
            first: The row of the first.

        Raises:
            FeatureError: The vectors are not finite unit vectors.
        """
        bound_threads()
        index = self.index()
        lists, codes = np.empty(len(vectors), np.int32), np.empty(vectors.shape, np.uint8)
        for start, end in blocks(*vectors.shape):
            values = np.ascontiguousarray(vectors[start:end], np.float32)
            require_unit(values, first + start)
            lists[start:end] = index.quantizer.search(values, 1)[1][:, 0]
            codes[start:end] = index.sq.compute_codes(values)
        order = np.argsort(lists, kind="stable")
        return InvertedLists(order + first, lists[order], codes[order])


@dataclass(frozen=True)
class InvertedLists:
    """Encoded vectors in the order of their lists.

    Attributes:
        rows: int64 (B,).
        lists: The list of each, ascending, int32 (B,).
        codes: uint8 (B, d).
    """

    rows: np.ndarray
    lists: np.ndarray
    codes: np.ndarray

    def add_to(self, index: Any) -> None:
        """Adds the vectors to a faiss index."""
        faiss = import_faiss()
        bounds = np.searchsorted(self.lists, np.arange(index.nlist + 1))
        rows, codes = np.ascontiguousarray(self.rows, np.int64), np.ascontiguousarray(self.codes)
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            part = slice(int(bounds[number]), int(bounds[number + 1]))
            pointers = faiss.swig_ptr(rows[part]), faiss.swig_ptr(codes[part])
            index.invlists.add_entries(number, part.stop - part.start, *pointers)
        index.ntotal += len(rows)


def _empty(faiss: Any, size: int, lists: int) -> Any:
    quantizer = faiss.IndexFlatIP(size)
    kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFScalarQuantizer(quantizer, size, lists, kind, metric, False)
    index.referenced_objects = [quantizer]  # faiss keeps a pointer only
    return index
