"""How captions become tokens."""

from typing import Annotated, Literal

from pydantic import Field

from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope


class TextConfig(Settings):
    """Cleaning, splitting and the vocabulary."""

    lowercase: bool = True
    """Write everything in lower case (Unicode-aware)."""
    punctuation: Literal["remove", "keep"] = "remove"
    """Drop tokens that hold no letter, digit or mark, or keep them as words of their own."""
    digits: Literal["keep", "remove"] = "keep"
    """Keep words that hold a digit, or drop them."""
    one_letter_words: Literal["keep", "remove"] = "keep"
    """The classic notebook drops them, "a" included; that costs BLEU."""
    mode: Literal["word", "char", "subword"] = "word"
    """``word`` splits at white space and punctuation; ``char`` takes every character (Chinese, Japanese, Thai);
    ``subword`` cuts words into pieces, so that rare ones can be said too (needs ``capsmith[text]``)."""
    min_count: Annotated[int, Scope.VOCABULARY] = Field(default=5, ge=1)
    """Words seen less often in the train split become ``<unk>``; for ``subword`` it says nothing."""
    max_words: Annotated[int | None, Scope.VOCABULARY] = Field(default=None, ge=1)
    """Keep only the most frequent words; for ``subword``, learn so many pieces (4,000 when nothing is said)."""
    max_length: Annotated[int, Scope.VOCABULARY] = Field(default=22, ge=1, le=10_000)
    """Longest caption in tokens, the end token not counted; longer training captions are cut."""
