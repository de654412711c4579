"""Tokenisation of captions, and its inverse.

In word mode a token is a word of the cleaned caption. The same holds in subword mode, where the vocabulary splits words
into pieces and joins them again. In character mode a token is one character (Unicode code point); a space is a token
too, so text with spaces is restored exactly.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from capsmith.data.text.cleaning import classes, clean, is_clitic

if TYPE_CHECKING:
    from capsmith.data.text.config import TextConfig


def tokenise(caption: str, config: "TextConfig") -> list[str]:
    """Cleans and splits a caption.

    Args:
        caption: The raw caption.
        config: Cleaning and mode.

    Returns:
        The tokens, without start and end; an empty list if cleaning removes everything.
    """
    cleaned = clean(caption, config)
    return list(cleaned) if config.mode == "char" else cleaned.split()


def detokenise(tokens: Sequence[str], config: "TextConfig") -> str:
    """Joins tokens into a caption, which ``tokenise`` splits into the same tokens again.

    Args:
        tokens: The result of ``tokenise``, or the output of a model.
        config: Cleaning and mode.

    Returns:
        In word mode the words with spaces, and clitics joined to their words (``dog's``); in character mode the
        concatenated characters.
    """
    if config.mode == "char":
        return "".join(tokens)
    text = ""
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else ""
        attached = is_clitic(token) and before[:1] != "'" and classes(before[-1:]) in ("a", "1", "m")
        text += token if attached or not text else f" {token}"
    return text
