"""How a caption and the detected objects agree, and what to ask a source of images."""

import re
from collections.abc import Callable, Sequence

from capsmith.core.errors import ConfigError
from capsmith.deploy.describe.record import GroundedCaption, GroundedWord
from capsmith.models.caption import Caption
from capsmith.vision.detection.detector import Detection

Ground = Callable[[str, Sequence[Detection]], GroundedCaption]
"""Finds the words of a caption that name objects, and the detected objects that confirm them."""
_MAX_WORDS = 6
_COMMON = frozenset(  # words that say nothing about what an image shows
    "a an the this that these those his her its their two three four some several many other another one and or but of "
    "in on at by to from with without into onto over under near next behind beside through across along around up down "
    "out off while as is are be being been has have having was were there it he she they who which for".split()
)


def ground(caption: str, objects: Sequence[Detection]) -> GroundedCaption:
    """Returns the words of a caption that name one of COCO's objects, and which detected objects confirm them."""
    numbers: dict[str, list[int]] = {}
    for number, one in enumerate(objects):
        numbers.setdefault(one.label, []).append(number)
    words = tuple(
        GroundedWord(found[0], found.start(), found.end(), found[0].casefold(), tuple(numbers[found[0].casefold()]))
        for found in re.finditer(r"\w+", caption)
        if found[0].casefold() in numbers
    )
    named = {word.object for word in words}
    return GroundedCaption(words, tuple(n for n, one in enumerate(objects) if one.label not in named))


def query_of(caption: Caption | None, grounding: GroundedCaption | None) -> str:
    """Returns what to ask a source of images: the objects of the caption that were detected.

    If there are none, all objects that it names; if it names none, its words that are not common.

    Raises:
        ConfigError: There is no caption, or it has no words.
    """
    words = () if grounding is None else grounding.words
    named = [word.object for word in words if word.confirmed] or [word.object for word in words]
    if not named and caption is not None:
        named = [word for word in caption.words or caption.text.split() if word.casefold() not in _COMMON]
    if not named:
        raise ConfigError("there is no caption to take a query from: give the query")
    return " ".join([*dict.fromkeys(named)][:_MAX_WORDS])
