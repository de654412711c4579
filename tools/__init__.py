"""Scripts for results and docs: ``python -m tools.NAME`` from the repository root."""
