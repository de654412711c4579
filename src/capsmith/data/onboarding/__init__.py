"""Detects the layout of a dataset, and writes a config for it: `capsmith init`."""
