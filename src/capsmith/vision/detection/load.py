"""Loads detectors by name: an ONNX file, or ``hub:`` and a preset of keras-hub."""

from collections.abc import Sequence
from pathlib import Path

from capsmith.core.errors import ConfigError, escaped
from capsmith.vision.detection.class_names import read_names
from capsmith.vision.detection.detector import Detector

_HUB = "hub:"
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors", ".h5", ".keras", ".tflite", ".engine", ".xml")


def load_detector(
    model: str | Path, threshold: float | None = None, labels: Sequence[str] | Path | str | None = None
) -> Detector:
    """Loads a detector.

    Args:
        model: An ONNX file of any known layout, or ``hub:`` and the name or folder of a preset of keras-hub.
        threshold: The confidence that is used by default, 0 to 1; if None, one that suits the model.
        labels: Names of the classes, or a file: one a line, JSON or YAML; if None, those that the model
            states, or COCO's.

    Raises:
        ConfigError: The threshold is out of range, or the names of the classes are unknown or do not fit.
        CheckpointError: The model is missing or damaged, or is no detector.
        MissingExtraError: keras-hub is not installed.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"a detector's threshold is 0 to 1, not {threshold}")
    names = read_names(Path(labels)) if isinstance(labels, str | Path) else labels
    if isinstance(model, str) and model.startswith(_HUB):
        from capsmith.vision.detection.hub import load_hub_detector

        return load_hub_detector(model.removeprefix(_HUB), threshold, names)
    path = Path(model).expanduser()
    if not str(model) or (path.suffix.lower() != ".onnx" and not path.exists()):
        raise ConfigError(f"{escaped(str(model))}: neither a file nor hub: and a preset of keras-hub")
    if path.suffix.lower() in _WEIGHTS:
        raise ConfigError(f"{escaped(str(model))}: not an ONNX file: docs/detection.md says how to export one")
    from capsmith.vision.detection.onnx_detector import OnnxDetector

    return OnnxDetector(path, threshold, names)
