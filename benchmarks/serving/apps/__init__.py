"""The other ways to serve the same captioner, written as their documentation shows."""
