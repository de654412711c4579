"""capsmith: train, evaluate and serve your own image captioner.

Importing this package does not import Keras. Each name below is imported when it is first used.
"""

TYPE_CHECKING = False  # importing typing takes longer than the rest of this module
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"
_MODULES = {
    "load_config": "capsmith.config",
    "Config": "capsmith.config",
    "train": "capsmith.training.fit",
    "evaluate": "capsmith.evaluation.kinds",
    "load_embedder": "capsmith.models.embedders",
    "load_detector": "capsmith.vision.detection.load",
    "Detected": "capsmith.vision.detection.detector",
    "Detection": "capsmith.vision.detection.detector",
    "RetrievalEvaluation": "capsmith.evaluation.retrieval.evaluate",
    "extract": "capsmith.training.extract",
    "Captioner": "capsmith.models.captioner",
    "Caption": "capsmith.models.caption",
    "Evaluation": "capsmith.evaluation.evaluate",
    "search": "capsmith.decoding.search",
    "Hypothesis": "capsmith.decoding.hypotheses",
    "GreedyConfig": "capsmith.decoding.config",
    "BeamConfig": "capsmith.decoding.config",
    "SampleConfig": "capsmith.decoding.config",
    "MbrConfig": "capsmith.decoding.rerank.config",
    "CapsmithError": "capsmith.core.errors",
    "load_plugin": "capsmith.core.plugins",
    "ConfigError": "capsmith.core.errors",
    "DataError": "capsmith.core.errors",
    "ImageError": "capsmith.core.errors",
    "FeatureError": "capsmith.core.errors",
    "CheckpointError": "capsmith.core.errors",
}
__all__ = ["__version__", *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> "Any":
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'capsmith' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
