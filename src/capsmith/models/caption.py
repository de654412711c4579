"""The result of captioning an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from capsmith.data.text.tokens import detokenise
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.hypotheses import Hypothesis
from capsmith.models.training_domain import DomainCheck

if TYPE_CHECKING:
    from capsmith.data.text.config import TextConfig


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        text: The caption.
        score: Score by which the search ranked it; comparable only within one image.
        log_probability: Natural logarithm of its probability under the model.
        alternatives: The other captions that the search returned, best first.
        words: The words of the caption.
        attention: Weight of each region for each word, (words, rows, columns), if ``attention`` was requested.
        domain: Distance of the image from the training images, if the run has a summary of them.
        probabilities: Probability of each word given the words before it, if ``attention`` or
            ``probabilities`` was requested.
    """

    text: str
    score: float
    log_probability: float
    alternatives: tuple["Caption", ...] = field(default=())
    words: tuple[str, ...] = field(default=())
    attention: np.ndarray | None = field(default=None, compare=False, repr=False)
    domain: DomainCheck | None = field(default=None, compare=False, repr=False)
    probabilities: tuple[float, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


def caption_of(hypotheses: Sequence[Hypothesis], vocabulary: Vocabulary, text: "TextConfig") -> Caption:
    """Returns the first hypothesis of an image as a caption, with the others as its alternatives."""
    best, *others = (
        Caption(detokenise(words, text), hypothesis.score, hypothesis.log_probability, words=tuple(words))
        for hypothesis in hypotheses
        for words in [vocabulary.decode(hypothesis.tokens)]
    )
    return replace(best, alternatives=tuple(others))
