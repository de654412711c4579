"""Recommendations and image search as a service: libraries and indexes, and the thread that embeds."""
