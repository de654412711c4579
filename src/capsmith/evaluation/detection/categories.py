"""Numbers of classes in COCO files."""

from collections.abc import Sequence

from capsmith.metrics.grounding.table import canonical
from capsmith.vision.detection.labels import COCO, COCO_IDS

_NUMBERS = dict(zip(COCO, COCO_IDS, strict=True))


def category_ids(labels: Sequence[str]) -> dict[str, int]:
    """Returns the number of each label in a COCO file.

    Args:
        labels: The classes of a detector, all different.

    Returns:
        COCO's own numbers, 1 to 90, if all labels are names of its classes, in any spelling; otherwise 1 … C in order.
    """
    names = [canonical(label) for label in labels]
    if len(set(names)) == len(names) and all(name in _NUMBERS for name in names):
        return {label: _NUMBERS[name] for label, name in zip(labels, names, strict=True)}
    return {label: number for number, label in enumerate(labels, 1)}
