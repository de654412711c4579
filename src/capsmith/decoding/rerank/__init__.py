"""Rerankers, which reorder the hypotheses of any search."""
