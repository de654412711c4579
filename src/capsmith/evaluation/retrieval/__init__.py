"""Evaluation of joint embeddings: retrieval among the images and captions of a split, and its report."""
