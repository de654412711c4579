"""METEOR 1.5 (Denkowski and Lavie 2014), computed from the counts of the original Java program.

The program runs once per set of captions. The final score is computed here from the counts that it returns
(section 2 of the paper), so intervals need no second run.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import CapsmithError
from capsmith.metrics.metric import Corpus, Metric

Floats = NDArray[np.float64]
# The English parameters of METEOR 1.5, task "rank"; weights of exact, stem, synonym and paraphrase matches.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
_COUNTS = 23
# The program locates its paraphrases by URL and fails on a space in the path, so the path is relative.
_ARGUMENTS = (
    *("-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"),
    *("-a", "data/paraphrase-en.gz"),
)


def meteor_counts(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> Floats:
    """Runs METEOR 1.5.

    Args:
        hypotheses: N tokenised captions.
        references: The tokenised references of each.

    Returns:
        The counts of each caption, (N, 23); see ``meteor_from_counts``.

    Raises:
        CapsmithError: Java fails, or its output is not valid.
    """
    from capsmith.metrics.java import run_java

    lines = [
        " ||| ".join(["SCORE", *map(_line, group), _line(hypothesis)])
        for hypothesis, group in zip(hypotheses, references, strict=True)
    ]
    output = run_java("meteor", _ARGUMENTS, "\n".join(lines) + "\n").split("\n")
    rows = [[float(number) for number in line.split()] for line in output if line.strip()]
    if len(rows) != len(lines) or any(len(row) != _COUNTS for row in rows):
        raise CapsmithError(
            f"METEOR returned counts for {len(rows)} of {len(lines)} captions: {' '.join(output)[-200:]!r}"
        )
    counts = np.array(rows, np.float64)
    # A caption that equals its reference is one chunk but not fragmented; the program adds no chunk for it.
    equal = (counts[:, 20] == 1) & (counts[:, 21:23] == counts[:, 0:2]).all(axis=1)
    counts[equal, 20] = 0
    return counts


def meteor_from_counts(summed: Floats) -> Floats:
    """Computes METEOR from summed counts.

    Args:
        summed: (…, 23): the lengths of hypothesis and reference, their function words, four numbers for each of four
            kinds of match (content and function words, in hypothesis and reference), chunks, and the matched words
            of both.

    Returns:
        (…): 0 to 1.
    """
    lengths, functions = summed[..., 0:2], summed[..., 2:4]
    matches = summed[..., 4:20].reshape(*summed.shape[:-1], 4, 4)
    content, function = matches[..., 0:2], matches[..., 2:4]
    weighted = ((_DELTA * content + (1 - _DELTA) * function) * _WEIGHTS[:, None]).sum(axis=-2)
    total = _DELTA * (lengths - functions) + (1 - _DELTA) * functions
    chunks, matched = summed[..., 20], summed[..., 21:23]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.moveaxis(np.where(total > 0, weighted / total, 0.0), -1, 0)
        mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
        penalty = _GAMMA * (chunks / matched.mean(axis=-1)) ** _BETA
        return np.where(precision * recall > 0, mean * (1 - penalty), 0.0)


def _line(tokens: Sequence[str]) -> str:
    """Joins tokens without what METEOR's line protocol cannot represent."""
    return " ".join(" ".join(tokens).replace("|||", " ").split())


class Meteor(Metric):
    """METEOR 1.5, English."""

    name, title = "meteor", "METEOR"

    def statistics(self, corpus: Corpus) -> Floats:
        """Returns the counts of each image, (N, 23)."""
        return meteor_counts(corpus.hypotheses, corpus.references.tokens)

    def combine(self, summed: Floats) -> Floats:
        """Computes METEOR from summed counts: (…, 23) to (…)."""
        return meteor_from_counts(summed)

    def signature(self) -> tuple[str, ...]:
        """Returns the version of the program and the language."""
        return "v:1.5", "lang:en"

    def check_requirements(self) -> None:
        """Raises CapsmithError when ``pycocoevalcap`` or Java is missing."""
        from capsmith.metrics.java import require_java

        require_java(self.name)
