"""Third-party captioners, behind one interface."""
