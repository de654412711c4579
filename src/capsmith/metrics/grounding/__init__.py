"""Grounding: the objects that captions name, and whether an image shows them.

``objects_of`` finds the objects that an English caption names, ``ground`` compares them with the output of a detector,
and the metric ``hallucination`` counts those that neither a reference nor a detector confirms. Nothing here runs a
detector: detections are labels.
"""

from capsmith.metrics.grounding.ground import Mention, Status, ground
from capsmith.metrics.grounding.objects import NamedObject, implied_by, objects_of
from capsmith.metrics.grounding.table import CLASSES

__all__ = ["CLASSES", "Mention", "NamedObject", "Status", "ground", "implied_by", "objects_of"]
