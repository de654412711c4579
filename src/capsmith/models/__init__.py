"""Models: the captioner, its decoders, checkpoints and run directories."""
