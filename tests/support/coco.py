"""coco-caption's scorers as an independent reference; tests skip where pycocoevalcap is not installed."""

import pytest


def scores(hypotheses, references, names=("bleu", "rouge", "cider")):
    """Returns BLEU-1..4, ROUGE-L and CIDEr of tokenised captions with their values per image, from pycocoevalcap."""
    pytest.importorskip("pycocoevalcap")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    given = {key: [" ".join(tokens)] for key, tokens in hypotheses.items()}
    truth = {key: [" ".join(tokens) for tokens in group] for key, group in references.items()}
    result = {}
    if "bleu" in names:
        bleu, _ = Bleu(4).compute_score(truth, given, verbose=0)
        result |= {f"bleu{n}": (value, None) for n, value in enumerate(bleu, 1)}
    if "rouge" in names:
        result["rouge"] = Rouge().compute_score(truth, given)
    if "cider" in names:
        result["cider"] = Cider().compute_score(truth, given)
    return result
