"""Detection of objects in images."""
