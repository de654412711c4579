"""Writes captioners in formats that run without capsmith's training stack."""
