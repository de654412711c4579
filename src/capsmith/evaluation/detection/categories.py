"""Numbers of classes in COCO files."""

from collections.abc import Sequence

from capsmith.metrics.grounding import CLASSES
from capsmith.metrics.grounding.table import canonical

_WITHOUT = frozenset((12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
"""Numbers from 1 to 90 that COCO does not use: classes that it planned and never annotated."""
COCO_IDS = dict(zip(CLASSES, (number for number in range(1, 91) if number not in _WITHOUT), strict=True))
"""COCO's numbers of its 80 classes."""


def category_ids(labels: Sequence[str]) -> dict[str, int]:
    """Returns the number of each label in a COCO file.

    Args:
        labels: The classes of a detector, all different.

    Returns:
        COCO's own numbers, 1 to 90, if all labels are names of its classes, in any spelling; otherwise 1 … C in order.
    """
    names = [canonical(label) for label in labels]
    if len(set(names)) == len(names) and all(name in COCO_IDS for name in names):
        return {label: COCO_IDS[name] for label, name in zip(labels, names, strict=True)}
    return {label: number for number, label in enumerate(labels, 1)}
