"""Writers of captions: text files, JSON lines, CSV, an HTML gallery, image metadata."""
