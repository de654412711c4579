"""From a folder of images and captions to a config."""
