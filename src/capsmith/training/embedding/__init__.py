"""Training of joint embeddings: batches, losses' settings, dev recall, and the files of a run."""
