"""A detector's preset of keras-hub in a folder: what it holds, checked before keras-hub builds anything from it.

keras-hub deserializes ``task.json``: a tree of class names and their arguments. Here every class of the tree must be
one that detectors of keras-hub consist of, so that a preset cannot ask for any other code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError, escaped
from capsmith.core.readers.json_files import read_json
from capsmith.vision.fingerprint import json_sha256
from capsmith.vision.hub.presets import ADVICE, CONFIG, PresetKind, file_hashes, read_config, require_files
from capsmith.vision.hub.trees import check_tree, require_shards_inside

TASK, TASK_WEIGHTS, PREPROCESSOR, CONVERTER = (
    "task.json",
    "task.weights.h5",
    "preprocessor.json",
    "image_converter.json",
)
KIND = PresetKind(
    prefix="--model hub:",
    noun="detector preset",
    classes=("DFineBackbone", "RetinaNetBackbone"),
    files=(TASK,),
    optional=(TASK_WEIGHTS, PREPROCESSOR, CONVERTER),
    docs="docs/detection.md",
)
"""The presets that ``hub:`` takes as detectors."""

_TASKS = {"DFineObjectDetector": "DFineBackbone", "RetinaNetObjectDetector": "RetinaNetBackbone"}
_PARTS = frozenset(
    {
        *_TASKS,
        *_TASKS.values(),
        "HGNetV2Backbone",
        "ResNetBackbone",
        "DFineObjectDetectorPreprocessor",
        "DFineImageConverter",
        "RetinaNetObjectDetectorPreprocessor",
        "RetinaNetImageConverter",
        "RetinaNetLabelEncoder",
        "AnchorGenerator",
        "NonMaxSuppression",
        "DTypePolicy",
    }
)
_MODULES = ("keras", "keras_hub")
_LARGEST = 2**14  # number in a tree


@dataclass(frozen=True)
class DetectorPreset:
    """A checked preset.

    Attributes:
        folder: Its folder.
        task: ``DFineObjectDetector`` or ``RetinaNetObjectDetector``.
        classes: Number of classes.
        size: Height and width of the network's input in pixels.
    """

    folder: Path
    task: str
    classes: int
    size: tuple[int, int]

    @property
    def fingerprint(self) -> str:
        """Hash of everything that detections depend on but the threshold and the labels."""
        return json_sha256({"method": "hub detector 1", "files": file_hashes(self.folder, KIND)})


def read_detector_preset(folder: Path) -> DetectorPreset:
    """Reads the description of a detector's preset.

    Args:
        folder: What ``save_to_preset`` of a ``keras_hub.models.ObjectDetector`` wrote.

    Raises:
        CheckpointError: The folder is incomplete or damaged, holds another kind of model, or asks for other code.
    """
    backbone = str(read_config(folder, KIND)["class_name"])
    require_files(folder, KIND)
    for name in (CONFIG, TASK, PREPROCESSOR, CONVERTER):
        path = folder / name
        if path.is_file():
            check_tree(read_json(path, CheckpointError), path, _LARGEST, _require_known)
    require_shards_inside(folder)
    task = read_json(folder / TASK, CheckpointError)
    name, config = task.get("class_name"), task.get("config")
    if _TASKS.get(name) != backbone or not isinstance(config, dict):
        raise CheckpointError(f"{folder / TASK} is damaged: it does not belong to {CONFIG}; {ADVICE}")
    classes = config.get("num_classes")
    if not isinstance(classes, int) or classes < 1:
        raise CheckpointError(f"{folder / TASK} is damaged: num_classes is no positive number; {ADVICE}")
    return DetectorPreset(folder, str(name), classes, _image_size(folder, config))


def _image_size(folder: Path, config: dict[str, Any]) -> tuple[int, int]:
    converter = _inside(config, "preprocessor", "image_converter")
    size = converter.get("image_size") or _inside(config, "backbone").get("image_shape")
    if (
        not isinstance(size, list)
        or len(size) < 2
        or not all(isinstance(side, int) and 1 <= side <= _LARGEST for side in size[:2])
    ):
        raise CheckpointError(f"{folder / TASK} does not say to which size images are brought; {ADVICE}")
    return int(size[0]), int(size[1])


def _inside(config: dict[str, Any], *names: str) -> dict[str, Any]:
    """Returns the arguments of an object within others; an empty dict if there is none."""
    for name in names:
        part = config.get(name)
        inner = part.get("config") if isinstance(part, dict) else None
        config = inner if isinstance(inner, dict) else {}
    return config


def _require_known(value: dict[str, Any], path: Path) -> None:
    name = value.get("class_name", value.get("registered_name"))
    if name is None and "module" not in value:
        return
    registered = str(value.get("registered_name") or name).removeprefix("keras_hub>")
    module = str(value.get("module") or "keras").split(".")[0]
    if name not in _PARTS or registered != name or module not in _MODULES:
        found = f"{value.get('module')}.{name}" if value.get("module") else str(name)
        raise CheckpointError(f"{path} asks for {escaped(found)[:80]}, which is no part of a detector of keras-hub")
