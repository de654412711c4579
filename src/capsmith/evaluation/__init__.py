"""Evaluation: decoding a split, scores, reports and plots."""
