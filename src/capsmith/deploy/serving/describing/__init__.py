"""Detection and description of images in the service."""
