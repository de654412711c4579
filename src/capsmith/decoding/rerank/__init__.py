"""Rerankers: they order the hypotheses of any search anew."""
