"""Texts as CLIP takes them.

CLIP was trained on captions from the web, so it places "a photo of small dog with hat" better than the bare phrase:
Radford et al. 2021 prepend "a photo of" for retrieval (1 to 2 points of R@1), and average the embeddings of several
prompts for names of classes. Here a phrase becomes the average of the unit vectors of ``PROMPTS``. A text that ends
as a sentence does is a caption already, and stays as it is.
"""

import html

PROMPTS = ("{}", "a photo of {}", "a picture of {}")
_ENDS = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001
_PROMPTED = ("a photo of ", "a picture of ", "photo of ", "picture of ")
_QUOTES = "\"'”’»)"  # noqa: RUF001


def clean(text: str) -> str:
    """Returns a text without HTML entities, special tokens and repeated spaces, as OpenAI's tokenizer reads it."""
    text = html.unescape(html.unescape(text))
    for token in ("<|startoftext|>", "<|endoftext|>"):
        text = text.replace(token, " ")
    return " ".join(text.split())


def prompted(text: str) -> list[str]:
    """Returns the texts whose unit vectors are averaged for a text.

    Args:
        text: A phrase, or a complete sentence.
    """
    text = clean(text)
    if not text or text.rstrip(_QUOTES).endswith(_ENDS) or text.lower().startswith(_PROMPTED):
        return [text]
    return [prompt.format(text) for prompt in PROMPTS]
