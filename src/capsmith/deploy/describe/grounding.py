"""How a caption and the detected objects agree, and what to ask a source of images."""

from collections.abc import Callable, Sequence

from capsmith.deploy.describe.record import GroundedCaption, GroundedWord
from capsmith.metrics.grounding import CLASSES
from capsmith.metrics.grounding import ground as mentions
from capsmith.metrics.grounding.table import canonical
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detection

Ground = Callable[[str, Sequence[Detection], Sequence[str]], GroundedCaption]
"""Compares a caption with the detected objects, given the labels that the detector has."""
_MAX_WORDS = 6
_COMMON = frozenset(  # words that say nothing about what an image shows
    "a an the this that these those his her its their two three four some several many other another one and or but of "
    "in on at by to from with without into onto over under near next behind beside through across along around up down "
    "out off while as is are be being been has have having was were there it he she they who which for".split()
)


def ground(caption: str, objects: Sequence[Detection], labels: Sequence[str] = ()) -> GroundedCaption:
    """Returns the nouns of a caption, and which detected objects confirm them.

    Args:
        caption: An English caption.
        objects: The detected objects.
        labels: The labels that the detector has; COCO's by default.
    """
    numbers: dict[str, list[int]] = {}
    for number, one in enumerate(objects):
        numbers.setdefault(canonical(one.label), []).append(number)
    words = tuple(
        GroundedWord(one.text, one.start, one.end, one.label, one.status, tuple(numbers.get(canonical(one.label), ())))
        for one in mentions(caption, [one.label for one in objects], labels or CLASSES)
    )
    named = {number for word in words for number in word.objects}
    return GroundedCaption(words, tuple(number for number in range(len(objects)) if number not in named))


def query_of(caption: Caption | None, grounding: GroundedCaption | None) -> str:
    """Returns what to ask a source of images: the nouns of the caption that were confirmed.

    If there are none, all nouns of the caption; if they are not known, its words that are not common.

    It is empty if there is no caption.
    """
    words = () if grounding is None else grounding.words
    named = [word.word for word in words if word.status == "confirmed"] or [word.word for word in words]
    if not named and caption is not None:
        named = [word for word in caption.words or caption.text.split() if word.casefold() not in _COMMON]
    return " ".join([*dict.fromkeys(word.casefold() for word in named)][:_MAX_WORDS])
