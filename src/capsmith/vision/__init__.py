"""Features: what a CNN says of a picture."""
