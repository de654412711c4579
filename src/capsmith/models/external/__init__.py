"""Captioners of others, behind one interface."""
