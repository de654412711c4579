"""The Penn Treebank tokens of coco-caption, without Java.

coco-caption tokenises captions with Stanford's PTBTokenizer (CoreNLP 3.4.1, ``-preserveLines -lowerCase``) and drops
punctuation tokens. This module returns the same tokens. It was written from inputs and outputs of that tool. The tests
compare it with the tool's published output and, if Java is installed, with the tool itself.

One difference is intended: the tool reads past the end of a line. "vitamin C." at the end of a caption loses its period
when the next caption of the file starts with "The". Here captions do not affect each other.
"""

import re

from capsmith.metrics.ptb_rules import ABBREVIATED, BRACKETS, CUT, DOMAIN, DOMAIN_REACH, RULES, SHAPES, SPELLED

DROPPED = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""Tokens that coco-caption drops. Brackets (spelled ``-lrb-``) and ``!!`` are not among them."""

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
_WITH_BRACKETS = re.compile(r"<?[A-Za-z0-9][^\s(){}]*@[^\s(){}]*>?|[<>]?[:;=][-o*']?[{\[\]]")
"""Tokens that keep their brackets."""
_CONTRACTED = re.compile("[’']([msd]|re|ve|ll)|n['’`‘]t")


def coco(caption: str) -> list[str]:
    """Returns the tokens of coco-caption: lower case, without punctuation tokens."""
    return [token for token in tokens(caption) if token not in DROPPED]


def tokens(caption: str) -> list[str]:
    """Returns all Penn Treebank tokens in lower case, punctuation included."""
    text = caption.replace("\xad", "")
    if "&" in text:
        text = _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)
    text = " ".join(text.split())
    shape = (text if text.isascii() else text.translate(SHAPES)) + "\n"
    result: list[str] = []
    place, no_domain = 0, 0
    while place < len(text):
        if shape[place] == " ":
            place += 1
        elif (mark := _MARK.match(shape, place)) is not None:
            result.append(mark[0])
            place += 1
        elif (word := _plain(shape, place)) is not None:
            result.append(word.lower())
            place += len(word)
        else:
            end, no_domain = _longest(shape, place, no_domain)
            result.extend(_spelling(text[place:end]).split())
            place = end
    return result


def _plain(shape: str, place: int) -> str | None:
    """Returns the word at this place if no rule matches more or less of it, which is the common and fast case."""
    match = _PLAIN.match(shape, place)
    if match is None or match[0].lower() in _CUT or (match[1] and ABBREVIATED.fullmatch(match[0])):
        return None
    return match[0]


def _longest(shape: str, place: int, no_domain: int) -> tuple[int, int]:
    """Returns the end of the token at this place, by the longest match, or the first of several equally long ones.

    Args:
        shape: The caption, translated by ``SHAPES``.
        place: The start of the token.
        no_domain: The place before which no domain name can start, from an earlier call.

    Returns:
        The end, and the new ``no_domain``, which keeps the time linear in the length of the caption.
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
    """Returns the spelling of a token in the output of the tool."""
    if all(character in SPELLED or character == "`" for character in token):
        return "".join(SPELLED.get(character, character) for character in token)
    lower = token.lower()
    if len(token) > 1 and set(token) == {"-"}:
        return "--"
    if token[0] == "." and set(token) <= {".", " "}:
        return "..." if len(token) > 1 else "."
    if _CONTRACTED.fullmatch(lower):
        return lower.replace("’", "'").replace("‘", "`")
    if _WITH_BRACKETS.fullmatch(token):
        return lower
    for bracket, name in BRACKETS.items():
        lower = lower.replace(bracket, name)
    return lower
