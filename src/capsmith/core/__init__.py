"""What every package builds on: errors, settings, registries, files, progress."""
