"""Foundations of every package: errors, settings, registries, files, progress."""
