"""Retrieval: what is kept of the training images, to find like ones again."""
