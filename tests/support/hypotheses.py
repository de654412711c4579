"""Comparison of hypotheses."""

import numpy as np


def assert_same(one, other, tolerance=1e-4):
    """Checks that two searches of the same images returned the same captions, with scores to a tolerance."""
    assert [[h.tokens for h in hypotheses] for hypotheses in one] == [[h.tokens for h in hyps] for hyps in other]
    for key in ("log_probability", "score"):
        values = [[getattr(h, key) for hypotheses in some for h in hypotheses] for some in (one, other)]
        np.testing.assert_allclose(*values, rtol=tolerance, atol=tolerance)
    marks = [[[(h.ended, h.drawn) for h in hypotheses] for hypotheses in some] for some in (one, other)]
    assert marks[0] == marks[1]
