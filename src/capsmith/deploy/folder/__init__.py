"""Captions of many images: a pipeline that overlaps its stages, a journal to resume from, and writers of results."""
