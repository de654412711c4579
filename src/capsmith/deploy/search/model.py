"""Finds the model that made an index."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.deploy.search.index_file import ImageIndexError, IndexFile
from capsmith.models import embedders
from capsmith.retrieval.embedder import Embedder


def model_of_index(index: Path, runs: Sequence[Path] | None = None, engine: str | None = None) -> Embedder:
    """Loads the model of an index.

    Args:
        index: The index.
        runs: Its runs, if they were moved; by default those that the index names.
        engine: Its engine, if it was moved.

    Raises:
        IndexModelError: It is another model.
        ImageIndexError: The index is damaged, or its model is not where it was.
        CapsmithError: The model cannot be loaded.
    """
    file = IndexFile.read(index)
    if runs or engine:
        embedder = embedders.load_embedder(list(runs) if runs else None, engine)
    elif not (file.runs or file.engine):
        raise ImageIndexError(f"{index} does not say where its model is ({file.model}): name it with --model")
    else:
        named = [Path(run) for run in file.runs]
        if missing := next((run for run in named if not run.exists()), None):
            raise ImageIndexError(f"the model of {index} is gone ({missing}): name it with --model")
        embedder = embedders.load_embedder(named or None, file.engine)
    file.require(embedder, index)
    return embedder
