"""Libraries and indexes of a command line: checked at once, loaded in the background."""
