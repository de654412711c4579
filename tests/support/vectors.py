"""Unit vectors of many kinds, and their nearest neighbours from the full product."""

import numpy as np


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def worlds(seed=7, count=1300, size=24):
    """Returns vectors (count, size), float64, by the name of what is special about them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, size))
    member = rng.integers(12, size=count)
    noise = rng.normal(size=(count, size))
    kinds = {
        "uniform": noise,
        "clustered": centres[member] + noise * 0.2,
        "nearly equal": centres[member] + noise * 1e-3,
        "in a cone": 5 * centres[0] + noise,
        "spiky": noise**7,
        "ties": rng.integers(-1, 2, size=(count, size)).astype(float),
        "equal": centres[member],
        "positive, few active": np.maximum(noise - 1.5, 0),  # zero vectors among them
        "one": noise[:1],
        "none": noise[:0],
    }
    return {name: unit(vectors) for name, vectors in kinds.items()} | {"tiny": unit(noise) * 1e-25}


def queries_for(vectors, count=18):
    """Returns queries (Q, d), float32: random ones, some stored vectors and their opposites, and a zero vector."""
    stored = vectors[:3].astype(np.float32)
    random = unit(np.random.default_rng(1).normal(size=(count, vectors.shape[1])))
    return np.concatenate([random, stored, -stored, np.zeros((1, vectors.shape[1]))]).astype(np.float32)


def full_product(vectors, queries, k, rows=None):
    """Returns rows and cosines of the k nearest of each query, as a ``VectorSearch`` does, from all products."""
    rows = np.arange(len(vectors)) if rows is None else np.unique(rows)
    some = vectors[rows].astype(np.float64)
    cosines = np.array([(some * query).sum(axis=1) for query in queries.astype(np.float64)]).astype(np.float32)
    order = np.array([np.lexsort((rows, -row)) for row in cosines]).reshape(len(queries), -1)[:, :k].astype(int)
    return rows[order], np.take_along_axis(cosines, order, axis=1)
