"""Settings of the text section: how captions become tokens."""

from typing import Annotated, Literal

from pydantic import Field

from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope


class TextConfig(Settings):
    """Cleaning, tokenisation and the vocabulary."""

    lowercase: bool = True
    """Convert captions to lower case (Unicode). The metrics ignore case."""
    punctuation: Literal["remove", "keep"] = "remove"
    """``remove`` drops tokens without a letter, digit or mark; ``keep`` makes them words. The metrics ignore them."""
    digits: Literal["keep", "remove"] = "keep"
    """``remove`` drops words that contain a digit; in character mode, the digits themselves."""
    one_letter_words: Literal["keep", "remove"] = "keep"
    """``remove`` drops words of one letter, "a" included, as the classic notebook does; that lowers BLEU."""
    mode: Literal["word", "char", "subword"] = "word"
    """``word`` splits at white space and punctuation. ``char`` makes every character a token: for languages without
    spaces (Chinese, Japanese, Thai). ``subword`` splits words into pieces, so that rare words can be generated too: for
    languages with many word forms (needs ``capsmith[text]``)."""
    min_count: Annotated[int, Scope.VOCABULARY] = Field(default=5, ge=1)
    """Words that occur less often in the train split become ``<unk>``. Lower it for small datasets. ``subword`` ignores
    it."""
    max_words: Annotated[int | None, Scope.VOCABULARY] = Field(default=None, ge=1)
    """Maximum size of the vocabulary, the most frequent words first; null means no limit. For ``subword``, the
    number of pieces; null means 4,000."""
    max_length: Annotated[int, Scope.VOCABULARY] = Field(default=22, ge=1, le=10_000)
    """Maximum caption length in tokens, without the end token. Longer training captions are truncated."""
