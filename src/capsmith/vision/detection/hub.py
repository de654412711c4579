"""Detectors of keras-hub, ``hub:PRESET`` or ``hub:FOLDER``: D-FINE and RetinaNet.

Images go through the preset's own converter. Boxes and scores are decoded here: D-FINE's queries need no suppression,
and RetinaNet's boxes are suppressed within each class, as its paper does; keras-hub's decoder would keep the best
class of a box and suppress boxes of different classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, FeatureError, ImageError, one_line, out_of_memory
from capsmith.vision.detection.detector import Detected
from capsmith.vision.detection.hub_preset import KIND, TASK_WEIGHTS, DetectorPreset, read_detector_preset
from capsmith.vision.detection.queries import Candidates, decode_queries
from capsmith.vision.hub.presets import ADVICE, import_keras_hub, preset_folder
from capsmith.vision.images import ImageSource
