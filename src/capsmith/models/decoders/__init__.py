"""Decoders: language models that look at an image."""
