"""capsmith: train, evaluate and serve your own image captioner.

Importing this package loads no Keras; the names below load what they need when first used.
"""

TYPE_CHECKING = False  # typing itself takes longer to import than all that is here
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"
_PLACES = {
    "load_config": "capsmith.config",
    "Config": "capsmith.config",
    "train": "capsmith.training.fit",
    "evaluate": "capsmith.evaluation",
    "extract": "capsmith.pipeline",
    "Captioner": "capsmith.captioner",
    "Caption": "capsmith.captions",
    "Evaluation": "capsmith.evaluation",
    "search": "capsmith.decoding",
    "Hypothesis": "capsmith.decoding",
    "GreedyConfig": "capsmith.decoding",
    "BeamConfig": "capsmith.decoding",
    "SampleConfig": "capsmith.decoding",
    "ConsensusConfig": "capsmith.consensus",
    "CapsmithError": "capsmith.errors",
    "load_plugin": "capsmith.plugins",
    "ConfigError": "capsmith.errors",
    "DataError": "capsmith.errors",
    "PictureError": "capsmith.errors",
    "FeatureError": "capsmith.errors",
    "CheckpointError": "capsmith.errors",
}
__all__ = ["__version__", *_PLACES]  # noqa: PLE0604


def __getattr__(name: str) -> "Any":
    if name in _PLACES:
        import importlib

        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'capsmith' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
