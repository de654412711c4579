"""CLIP models of keras-hub as joint embeddings (Radford et al. 2021)."""
