"""Detections drawn into images, written as COCO files, and scored against annotations."""
