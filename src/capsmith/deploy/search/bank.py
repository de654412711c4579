"""The images of an index as a bank: what popularity is measured against."""

from pathlib import Path

import numpy as np

from capsmith.core.files import path_argument
from capsmith.deploy.search.catalog import read_catalog
from capsmith.deploy.search.index_file import ImageIndexError, IndexFile
from capsmith.deploy.search.view import current_view
from capsmith.retrieval.embedder import Embedder

MOST = 6_000
"""Images of a bank; more would be slow, and change little."""
LEAST = 50
"""Images below which popularity says more about them than about the captions."""


def bank_of_index(folder: str | Path, embedder: Embedder) -> np.ndarray:
    """Returns the vectors (P, d), float32, of images of an index, evenly chosen if it has more than ``MOST``.

    Args:
        folder: The index.
        embedder: The model that made it.

    Raises:
        IndexModelError: Another model made it.
        ImageIndexError: The folder is no index, is damaged, or has fewer images than ``LEAST``.
    """
    folder = path_argument(folder, "bank")
    file = IndexFile.read(folder)
    file.require(embedder, folder)
    database = read_catalog(folder)
    try:
        view = current_view(folder, file, database)
        rows = np.arange(view.state.rows) if view.live is None else view.live
        if len(rows) < LEAST:
            raise ImageIndexError(
                f"{folder} has {len(rows):,} images, too few to measure popularity: {LEAST} are needed"
            )
        chosen = rows[np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(np.int64)]
        return np.asarray(view.vectors[0][chosen], np.float32)
    finally:
        database.close()
