"""Scores of object detection against annotated boxes, by the rules of COCO."""

from capsmith.metrics.detection.average_precision import SUMMARIES, DetectionScores, average_precision
from capsmith.metrics.detection.matching import Found, Truth

__all__ = ["SUMMARIES", "DetectionScores", "Found", "Truth", "average_precision"]
