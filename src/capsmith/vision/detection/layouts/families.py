"""What libreyolo exports: files that name their architecture (``model_family``), and give finished boxes' corners.

Files of other programs do not say how images are prepared; those of libreyolo are read as it reads them itself.
"""

from dataclasses import dataclass

from capsmith.vision.detection.framing import IMAGENET_MEAN, IMAGENET_STD, Preparation
from capsmith.vision.detection.layouts.layout import Network

_BGR_MEAN, _BGR_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@dataclass(frozen=True)
class Family:
    """An architecture of libreyolo that gives a box and scores for each cell.

    Attributes:
        preparation: How its images are prepared.
        suppressed: Whether its boxes overlap and are to be suppressed.
        several: Whether a cell may hold several classes.
    """

    preparation: Preparation
    suppressed: bool = True
    several: bool = True


_LETTERBOX = Preparation(corner=True)
_IMAGENET = Preparation("stretch", mean=IMAGENET_MEAN, std=IMAGENET_STD)
_FAMILIES = {
    "yolo3": Family(_LETTERBOX),
    "yolo4": Family(_LETTERBOX),
    "yolo7": Family(_LETTERBOX),
    "yolo9": Family(_LETTERBOX),
    "yolo9_p2": Family(_LETTERBOX),
    "yolo9_e2e": Family(_LETTERBOX, suppressed=False),
    "rtmdet": Family(Preparation(corner=True, bgr=True, scale=1.0, mean=_BGR_MEAN, std=_BGR_STD)),
    "picodet": Family(_IMAGENET),
    "ppyoloe": Family(_IMAGENET),
    "yolonas": Family(Preparation(most=636), several=False),
}


def family_of(network: Network) -> Family | None:
    """Returns the architecture that a file of libreyolo names, if it is one of cells; None otherwise."""
    family = _FAMILIES.get(network.family)
    if family is not None and family.preparation == _LETTERBOX and network.metadata.get("letterbox_pad") == "center":
        return Family(Preparation(), family.suppressed)
    return family
