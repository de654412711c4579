"""Tokens of a caption, and the caption of tokens.

In word mode a token is a word of the cleaned caption; so it is in subword mode, where the vocabulary cuts words into
pieces and puts them together again. In character mode it is one character (Unicode code
point), and a space is a token too: text with spaces comes back as it was.
"""

from collections.abc import Sequence

from capsmith.data.text.cleaning import classes, clean, is_clitic
from capsmith.data.text.config import TextConfig


def tokenise(caption: str, config: TextConfig) -> list[str]:
    """Cleans a caption and splits it.

    Args:
        caption: The caption as the dataset gives it.
        config: Cleaning and mode.

    Returns:
        The tokens, without start and end; none when cleaning leaves nothing.
    """
    cleaned = clean(caption, config)
    return list(cleaned) if config.mode == "char" else cleaned.split()


def detokenise(tokens: Sequence[str], config: TextConfig) -> str:
    """Writes tokens as a caption that ``tokenise`` turns into the same tokens again.

    Args:
        tokens: What ``tokenise`` returned, or what a model wrote.
        config: Cleaning and mode.

    Returns:
        In word mode the words with spaces, clitics written together with their word (``dog's``); in character
        mode the characters in a row.
    """
    if config.mode == "char":
        return "".join(tokens)
    text = ""
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else ""
        attached = is_clitic(token) and before[:1] != "'" and classes(before[-1:]) in ("a", "1", "m")
        text += token if attached or not text else f" {token}"
    return text
