"""Stand-in for ``retrieval.vectors`` until that is on main."""

import numpy as np


class ExactSearch:
    def __init__(self, vectors):
        self.vectors = vectors

    def nearest(self, queries, k, rows=None):
        vectors = self.vectors if rows is None else self.vectors[rows]
        scores = np.asarray(queries, np.float32) @ np.asarray(vectors, np.float32).T
        k = min(k, scores.shape[1])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(scores, order, axis=1)
        return (order if rows is None else rows[order]).astype(np.int64), found


def search_of(vectors, kind="auto", cache=None):
    return ExactSearch(vectors)
