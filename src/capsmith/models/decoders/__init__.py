"""Decoders: language models that look at a picture."""
