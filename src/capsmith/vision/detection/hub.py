"""Detectors of keras-hub, ``hub:PRESET`` or ``hub:FOLDER``: D-FINE and RetinaNet.

Images go through the preset's own converter. Boxes are decoded here: D-FINE's queries need no suppression, and
RetinaNet's boxes are suppressed within each class (Lin et al. 2017), while keras-hub's decoder keeps a box's best
class only and lets boxes of different classes suppress each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from capsmith.core.errors import CapsmithError, CheckpointError, FeatureError, one_line, out_of_memory
from capsmith.vision.detection.candidates import Candidates, found
from capsmith.vision.detection.detector import Detected
from capsmith.vision.detection.hub_preset import KIND, TASK_WEIGHTS, DetectorPreset, read_detector_preset
from capsmith.vision.detection.labels import labels_for
from capsmith.vision.detection.nms import suppress
from capsmith.vision.detection.queries import decode_queries
from capsmith.vision.hub.presets import ADVICE, import_keras_hub, preset_folder
from capsmith.vision.images import ImageSource, load_upright

THRESHOLD = 0.5
_OVERLAP = 0.5  # as RetinaNet's paper
_CANDIDATES = 1000  # of RetinaNet, before suppression
_Window = tuple[float, float, float, float]


class HubDetector:
    """A detector of keras-hub (see ``Detector``).

    Args:
        name: What the user called it.
        preset: What to load.
        threshold: Confidence by default.
        labels: Names of the classes; by default those of COCO, where their number tells.

    Raises:
        CheckpointError: The files are damaged, or do not belong together.
        CapsmithError: The number of classes does not tell their names, or is not that of the labels.
        MissingExtraError: keras-hub is not installed.
    """

    def __init__(
        self, name: str, preset: DetectorPreset, threshold: float | None = None, labels: Sequence[str] | None = None
    ) -> None:
        self.name = name
        self.fingerprint = preset.fingerprint
        self._names = labels_for(preset.classes, labels, name)
        self.labels: Sequence[str] = [label for label in self._names if label is not None]
        self.threshold = THRESHOLD if threshold is None else threshold
        self._columns = [i for i, label in enumerate(self._names) if label is not None]
        self._preset = preset
        self._task = _load(preset)
        self._decode = _queries if preset.task == "DFineObjectDetector" else _anchors

    def detect(self, image: ImageSource, threshold: float | None = None) -> Detected:
        """Returns the objects of an image; see ``Detector.detect``."""
        pixels = np.asarray(load_upright(image))
        height, width = pixels.shape[:2]
        converter = self._task.preprocessor.image_converter
        inputs = np.asarray(converter(pixels[None].astype(np.float32)), np.float32)
        try:
            outputs = self._task(inputs, training=False)
        except Exception as error:
            if out_of_memory(error):
                raise CapsmithError(f"{self.name}: not enough memory for an image") from error
            raise
        least = self.threshold if threshold is None else threshold
        candidates = self._decode(self._task, outputs, inputs, least, self._columns)
        return found(_undone(candidates, _window(converter, height, width)), self._names, width, height)


def load_hub_detector(name: str, threshold: float | None = None, labels: Sequence[str] | None = None) -> HubDetector:
    """Returns the detector of a preset of keras-hub.

    Args:
        name: A folder, or a preset's name, without ``hub:``.
        threshold: Confidence by default.
        labels: Names of the classes.

    Raises:
        CapsmithError: See ``HubDetector`` and ``capsmith.vision.hub.presets.preset_folder``.
    """
    preset = read_detector_preset(preset_folder(name, KIND))
    return HubDetector(f"hub:{name}", preset, threshold, labels)


def _load(preset: DetectorPreset) -> Any:
    models = import_keras_hub(KIND.prefix).models
    from capsmith.vision.weights import count_numbers, count_parameters, first_not_finite

    try:
        numbers = sum(
            count_numbers(path)
            for path in [*preset.folder.glob("model*.weights.h5"), preset.folder / TASK_WEIGHTS]
            if path.exists()
        )
        task = getattr(models, preset.task).from_preset(str(preset.folder))
    except FeatureError as error:
        raise CheckpointError(str(error).removeprefix("encoder weights ")) from error
    except Exception as error:  # of Keras and its backends: each of them means damage
        if out_of_memory(error):
            raise CheckpointError(f"{preset.folder}: the model is too large for this machine's memory") from error
        raise CheckpointError(f"{preset.folder} is damaged: {one_line(error)[:200]}; {ADVICE}") from error
    if count_parameters(task) != numbers:
        raise CheckpointError(
            f"{preset.folder} is damaged: its weights are {numbers:,} numbers, but the model has "
            f"{count_parameters(task):,}; {ADVICE}"
        )
    if (broken := first_not_finite(task)) is not None:
        raise CheckpointError(f"{preset.folder} is damaged: {broken} contains NaN or infinity; {ADVICE}")
    if task.preprocessor is None or task.preprocessor.image_converter is None:
        raise CheckpointError(f"{preset.folder} does not say how images are prepared; {ADVICE}")
    if task.preprocessor.image_converter.image_size is None:
        task.preprocessor.image_converter.image_size = preset.size
    return task


def _queries(task: Any, outputs: Any, inputs: np.ndarray, threshold: float, columns: Sequence[int]) -> Candidates:
    return decode_queries(_array(outputs["logits"])[0], _array(outputs["pred_boxes"])[0], threshold, columns=columns)


def _anchors(task: Any, outputs: Any, inputs: np.ndarray, threshold: float, columns: Sequence[int]) -> Candidates:
    """Returns RetinaNet's boxes as fractions of its input: differences to anchors, decoded and suppressed."""
    import keras

    convert = keras.utils.bounding_boxes
    height, width, channels = inputs.shape[1:]
    scores = _array(outputs["cls_logits"])[0].astype(np.float64)
    if task.prediction_decoder.from_logits:
        scores = 0.5 + 0.5 * np.tanh(scores / 2)
    scores = scores[:, list(columns)]
    anchors = keras.ops.concatenate(list(task.anchor_generator(keras.ops.convert_to_tensor(inputs)).values()), axis=0)
    boxes = convert.decode_deltas_to_boxes(
        anchors=anchors,
        boxes_delta=outputs["bbox_regression"],
        encoded_format="center_xywh",
        anchor_format=task.anchor_generator.bounding_box_format,
        box_format=task.bounding_box_format,
        image_shape=(height, width, channels),
    )
    boxes = convert.convert_format(boxes, source=task.bounding_box_format, target="xyxy", height=height, width=width)
    fractions = _array(boxes)[0].astype(np.float64) / [width, height, width, height]
    best = np.argsort(-scores, axis=None, kind="stable")[:_CANDIDATES]
    rows, classes = np.unravel_index(best, scores.shape)
    above = (scores[rows, classes] > threshold) & np.isfinite(fractions[rows]).all(axis=1)
    rows, classes = rows[above], classes[above]
    kept = suppress(fractions[rows], scores[rows, classes], classes, _OVERLAP)
    rows, classes = rows[kept], classes[kept]
    return Candidates(fractions[rows], scores[rows, classes], np.asarray(columns, np.int64)[classes])


def _array(tensor: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _window(converter: Any, height: int, width: int) -> _Window:
    """Returns the part of an image that fills the network's input: left, top, width, height in pixels.

    It is larger than the image where bars are added, and smaller where it is cropped: see ``keras.layers.Resizing``.
    """
    target_height, target_width = converter.image_size
    full_height, full_width = int(width * target_height / target_width), int(height * target_width / target_height)
    if converter.pad_to_aspect_ratio:
        down = (max(height, full_height) - height) // 2
        right = (max(width, full_width) - width) // 2
        return -right, -down, width + 2 * right, height + 2 * down
    if converter.crop_to_aspect_ratio:
        cut_height, cut_width = max(min(height, full_height), 1), max(min(width, full_width), 1)
        return (width - cut_width) // 2, (height - cut_height) // 2, cut_width, cut_height
    return 0, 0, width, height


def _undone(candidates: Candidates, window: _Window) -> Candidates:
    left, top, width, height = window
    boxes = candidates.boxes * [width, height, width, height] + [left, top, left, top]
    return candidates._replace(boxes=boxes)
