"""Fingerprints of stored vectors."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from capsmith.core.onnx_session import default_threads
from capsmith.retrieval.vectors.approximation import blocks


def fingerprint(vectors: np.ndarray) -> str:
    """Returns a hash of type, shape and numbers of vectors (M, d). Blocks are hashed by several threads."""

    def block(bounds: tuple[int, int]) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(vectors[slice(*bounds)]).data).digest()

    whole = hashlib.sha256(f"{vectors.dtype.str} {vectors.shape}".encode())
    with ThreadPoolExecutor(default_threads()) as pool:
        for digest in pool.map(block, blocks(*vectors.shape)):
            whole.update(digest)
    return whole.hexdigest()
