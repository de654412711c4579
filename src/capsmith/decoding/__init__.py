"""Decoding: search for captions over any decoder."""
