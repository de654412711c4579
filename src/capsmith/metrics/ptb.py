"""The Penn Treebank tokens that coco-caption scores, without Java.

coco-caption sends captions through Stanford's PTBTokenizer (CoreNLP 3.4.1, ``-preserveLines -lowerCase``) and drops
punctuation tokens. This module gives the same tokens. It was written from inputs and outputs of that tool, and the
tests compare it with the tool's published output and, where Java is present, with the tool itself.

One difference is meant: the tool looks past the end of a line, so that "vitamin C." at the end of a caption loses
its period when the next caption of the file begins with "The". Here each caption stands alone.
"""

import re

from capsmith.metrics.ptb_rules import ABBREVIATED, BRACKETS, CUT, DOMAIN, DOMAIN_REACH, RULES, SHAPES, SPELLED

DROPPED = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""Tokens that coco-caption drops. Brackets are not among them (they arrive as ``-lrb-``), nor is ``!!``."""

_CUT = frozenset(head + rest for head, rest in CUT.items())
_PLAIN = re.compile(r"[A-Za-z]+(?=[ \n]|, |(\.\n))")
_MARK = re.compile(r",(?= )|\.(?=\n)")
_ENTITY = re.compile("&(amp|lt|gt|quot|apos|nbsp|[mn]dash);")
_ENTITIES = {
    "amp": "&",
    "lt": "<",
    "gt": ">",
    "quot": '"',
    "apos": "'",
    "nbsp": " ",
    "mdash": "—",
    "ndash": "—",
}
_KEPT = re.compile(r"<?[A-Za-z0-9][^\s(){}]*@[^\s(){}]*>?|[<>]?[:;=][-o*']?[{\[\]]")  # their brackets stay
_CONTRACTED = re.compile("[’']([msd]|re|ve|ll)|n['’`‘]t")


def coco(caption: str) -> list[str]:
    """Returns the tokens that coco-caption scores: lower case, without punctuation tokens."""
    return [token for token in tokens(caption) if token not in DROPPED]


def tokens(caption: str) -> list[str]:
    """Returns all Penn Treebank tokens in lower case, punctuation included."""
    text = caption.replace("\xad", "")
    if "&" in text:
        text = _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)
    text = " ".join(text.split())
    shape = (text if text.isascii() else text.translate(SHAPES)) + "\n"
    found: list[str] = []
    place, no_domain = 0, 0
    while place < len(text):
        if shape[place] == " ":
            place += 1
        elif (mark := _MARK.match(shape, place)) is not None:
            found.append(mark[0])
            place += 1
        elif (word := _plain(shape, place)) is not None:
            found.append(word.lower())
            place += len(word)
        else:
            end, no_domain = _longest(shape, place, no_domain)
            found.extend(_spelling(text[place:end]).split())
            place = end
    return found


def _plain(shape: str, place: int) -> str | None:
    """Returns the word here if no rule could take more or less than it: so for nearly all words, and quickly."""
    match = _PLAIN.match(shape, place)
    if match is None or match[0].lower() in _CUT or (match[1] and ABBREVIATED.fullmatch(match[0])):
        return None
    return match[0]


def _longest(shape: str, place: int, no_domain: int) -> tuple[int, int]:
    """Returns where the token that starts here ends: the longest match counts, of equal ones the first.

    Args:
        shape: The caption.
        place: Where the token starts.
        no_domain: Up to where no domain name can start, as an earlier call found.

    Returns:
        The end, and what ``no_domain`` is from now on: so the time grows with the caption's length, not its square.
    """
    longest, end = place, place + 1
    for rule in RULES:
        if rule is DOMAIN and place < no_domain:
            continue
        match = rule.match(shape, place)
        if match is not None and match.end() > longest:
            longest, end = match.end(), match.end(1)
        if match is None and rule is DOMAIN and (reach := DOMAIN_REACH.match(shape, place)) is not None:
            no_domain = reach.end()
    return end, no_domain


def _spelling(token: str) -> str:
    """Spells a token as the tool prints it."""
    if all(character in SPELLED or character == "`" for character in token):
        return "".join(SPELLED.get(character, character) for character in token)
    lower = token.lower()
    if len(token) > 1 and set(token) == {"-"}:
        return "--"
    if token[0] == "." and set(token) <= {".", " "}:
        return "..." if len(token) > 1 else "."
    if _CONTRACTED.fullmatch(lower):
        return lower.replace("’", "'").replace("‘", "`")
    if _KEPT.fullmatch(token):
        return lower
    for bracket, name in BRACKETS.items():
        lower = lower.replace(bracket, name)
    return lower
