"""The drawn scenes: a data set that needs no download."""
