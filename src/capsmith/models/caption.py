"""What captioning returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import detokenise
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.search import Hypothesis
from capsmith.models.training_domain import DomainCheck


@dataclass(frozen=True)
class Caption:
    """A sentence about an image.

    Attributes:
        text: The sentence.
        score: What the search ranked by; comparable within one image.
        log_probability: Natural logarithm of the model's probability for it.
        alternatives: The search's other captions, best first.
        words: The sentence's words.
        attention: How much each region counted for each word, (words, rows, columns), where that was asked for.
        domain: How the image compares with the training images, where the run knows it.
        probabilities: With ``attention``, the model's probability for each word after those before it.
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


def caption_of(found: Sequence[Hypothesis], vocabulary: Vocabulary, text: TextConfig) -> Caption:
    """Returns the first of what a search found for an image as a caption, and the others as its alternatives."""
    first, *others = (
        Caption(detokenise(words, text), h.score, h.log_probability, words=tuple(words))
        for h in found
        for words in [vocabulary.decode(h.tokens)]
    )
    return replace(first, alternatives=tuple(others))
