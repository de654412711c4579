"""Correct and retrain: teaches a model the captions that a person corrected, and measures what changed."""
