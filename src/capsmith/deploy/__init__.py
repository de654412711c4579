"""Captioners outside training: export, the runtime without TensorFlow, folders of images."""
