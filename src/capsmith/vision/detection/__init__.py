"""Detection of objects in images."""

from capsmith.vision.detection.load import load_detector as load_detector
