"""Loads joint embeddings: trained runs, and CLIP models."""

from pathlib import Path

from capsmith.core.errors import ConfigError
from capsmith.retrieval.embedder import Embedder


def load_embedder(models: list[Path] | None = None, engine: str | None = None) -> Embedder:
    """Loads a joint embedding. Keras is imported only when images are encoded.

    Args:
        models: The run of an embedding; several form an ensemble. None if ``engine`` names the model.
        engine: ``clip:PRESET_OR_PATH`` uses a CLIP model instead.

    Raises:
        CheckpointError: A folder is not the run of an embedding, or is damaged.
        ConfigError: The engine is unknown, its package is missing, or its weights cannot be had.
    """
    if engine is not None:
        from capsmith.models.clip.embedder import load_clip

        return load_clip(engine)
    raise ConfigError(f"{models or engine} is not a joint embedding")
