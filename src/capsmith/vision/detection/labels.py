"""Names of a detector's classes: COCO's where their number tells, otherwise those that the user gives."""

from collections.abc import Sequence

from capsmith.core.errors import ConfigError

COCO = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush".split(",")
)
"""The 80 classes of COCO, in the order of most detectors' outputs."""
_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
COCO_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED)
"""The identifiers that COCO's annotations use for these classes: 80 numbers from 1 to 90."""


def labels_for(count: int, given: Sequence[str] | None, model: str) -> list[str | None]:
    """Returns the name of each of a detector's classes; None for a number that stands for no class.

    Args:
        count: The number of classes that the network scores.
        given: Names from the file or the user.
        model: The detector, for messages.

    Raises:
        ConfigError: There are fewer or more names than classes, or the number of classes does not tell their names.
    """
    if given is not None and len(given) == count:
        return list(given)
    if given is not None and tuple(given) != COCO:
        raise ConfigError(f"{model} has {count:,} classes, and was given names for {len(given):,}: each needs one")
    if count == len(COCO):
        return list(COCO)
    if count in (90, 91, 92):  # by COCO's identifiers, from 1 or from 0; YOLOS and DETR add one without a meaning
        names: list[str | None] = [None] * count
        for number, name in zip(COCO_IDS, COCO, strict=True):
            names[number - (1 if count == 90 else 0)] = name
        return names
    raise ConfigError(f"{model} has {count:,} classes and does not state their names: pass --labels FILE, one a line")
