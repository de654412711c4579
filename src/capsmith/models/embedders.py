"""Loads joint embeddings: trained runs, and CLIP models."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.config import EmbeddingRunConfig
from capsmith.models.embedding.embedder import EmbeddingRun, RunEmbedder
from capsmith.models.ensemble_run import find_runs
from capsmith.models.run_config import of_run
from capsmith.retrieval.embedder import Embedder


def load_embedder(models: Sequence[str | Path] | None = None, engine: str | None = None) -> Embedder:
    """Loads a joint embedding. Keras is imported only when images are encoded.

    Args:
        models: The run of an embedding, whose config may name an ``ensemble``; several form an ensemble. None if
            ``engine`` names the model.
        engine: ``clip:PRESET_OR_PATH`` uses a CLIP model instead.

    Raises:
        CheckpointError: A folder is not the run of an embedding, or is damaged.
        ConfigError: The engine is unknown, its package is missing, or its weights cannot be had.
    """
    if engine is not None:
        from capsmith.models.clip.embedder import load_clip

        return load_clip(engine)
    return run_embedder(models or [])


def run_embedder(runs: Sequence[str | Path], overrides: Sequence[str] = ()) -> RunEmbedder:
    """Loads the runs of a joint embedding.

    Args:
        runs: A run, whose config may name an ensemble, or several.
        overrides: Changes to their configs, such as ``evaluation.examples=0``.

    Raises:
        CheckpointError: A folder is not the run of an embedding, or is damaged.
        ConfigError: An override is not valid, or would change the model.
    """
    found = find_runs([runs] if isinstance(runs, str | Path) else runs, overrides)
    configs = [
        of_run(run, config, EmbeddingRunConfig) for run, config in zip(found.runs, found.any_configs(), strict=True)
    ]
    return RunEmbedder([EmbeddingRun.load(run, config) for run, config in zip(found.runs, configs, strict=True)])
