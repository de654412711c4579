"""Compares the objects that a caption names with those that a detector found."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from capsmith.metrics.grounding.objects import objects_of
from capsmith.metrics.grounding.table import CLASSES, canonical, canonical_labels
from capsmith.metrics.grounding.wordnet import class_of

Status = Literal["confirmed", "unconfirmed", "unknown"]


@dataclass(frozen=True)
class Mention:
    """A noun of a caption, and what a detector says about it.

    Attributes:
        start: Where its words begin in the caption, in characters.
        end: Where they end: ``caption[start:end]`` are the words.
        text: The words.
        label: The detector's class in the spelling of the detector, where it has one; otherwise the noun.
        status: ``confirmed``: the detector found the class; ``unconfirmed``: it knows the class, but did not find it;
            ``unknown``: the detector does not have such a class.
    """

    start: int
    end: int
    text: str
    label: str
    status: Status

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return asdict(self)


def ground(caption: str, detected: Iterable[str], classes: Iterable[str] = CLASSES) -> list[Mention]:
    """Compares the nouns of a caption with detected labels.

    Words and classes are matched by the table of ``grounding.table``. Classes that the table does not have are matched
    by their own names, and by WordNet if nltk and its data are installed: a detector with a class ``building``
    confirms a ``church``.

    Args:
        caption: An English caption.
        detected: The labels of the detected objects.
        classes: The labels that the detector has.

    Returns:
        The mentions in the order of the caption. Spans do not overlap.
    """
    spelling = {canonical(label): label for label in classes}
    found = canonical_labels(detected)
    spelling = {**{canonical(label): label for label in detected}, **spelling}
    extra = tuple(sorted(label for label in spelling if label not in CLASSES))
    mentions = []
    for one in objects_of(caption, extra, others=True):
        labels = one.labels or tuple(filter(None, [class_of(one.label, frozenset(extra))]))
        known = [label for label in labels if label in spelling]
        confirmed = [label for label in known if label in found]
        label = spelling[(confirmed or known)[0]] if known else one.label
        status: Status = "confirmed" if confirmed else "unconfirmed" if known else "unknown"
        mentions.append(Mention(one.start, one.end, one.text, label, status))
    return mentions
