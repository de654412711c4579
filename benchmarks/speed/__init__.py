"""How fast capsmith trains, extracts and decodes, beside the usual ways of doing the same, in one run."""
