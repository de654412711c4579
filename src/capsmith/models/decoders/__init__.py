"""Decoders: recurrent language models conditioned on an image."""
