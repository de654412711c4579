"""Features: what a CNN says of an image."""
