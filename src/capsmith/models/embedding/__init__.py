"""Joint embeddings of images and texts: their settings, their networks, and trained runs as embedders."""
