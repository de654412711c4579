"""Retrieval: indexes over training images, and predictors learned from them. NumPy only."""
