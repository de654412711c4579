"""The rendered scenes: a dataset that needs no download."""
