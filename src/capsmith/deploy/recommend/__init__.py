"""Recommends ready-made captions for photographs: libraries of captions, and their ranking by a joint embedding."""
