"""Reranking: choosing among the captions that a search found."""
