"""Finds the objects that an English caption names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from capsmith.metrics.grounding import table
from capsmith.metrics.grounding.table import Entry, Words

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?|[.,;:!?()]")  # punctuation separates: no compound spans a comma
_DETERMINERS = frozenset("a an the his her their its another one two three several some this that of".split())
_SUBJECTS = frozenset("to who they he she it".split())
_LIVING = frozenset("person bird cat dog horse sheep cow elephant bear zebra giraffe".split())
_TEAM = frozenset("team practice stand stands pads diamond pitch tryout hoop".split())
"""Nouns after ``football`` and the like, besides those of the table."""


@dataclass(frozen=True)
class NamedObject:
    """An object that a caption names.

    Attributes:
        label: Its class: one of ``CLASSES``, a class of the detector, or the noun itself if it has no class.
        start: Where its words begin in the caption, in characters.
        end: Where they end.
        text: The words as the caption has them.
        labels: All classes that the words may name: two for ``bike``; empty for a noun of no class.
    """

    label: str
    start: int
    end: int
    text: str
    labels: tuple[str, ...]


@lru_cache(maxsize=65536)
def objects_of(caption: str, classes: tuple[str, ...] = (), others: bool = False) -> tuple[NamedObject, ...]:
    """Returns the objects that a caption names, in its order.

    Args:
        caption: An English caption.
        classes: More classes than ``CLASSES``, which are matched by their names; see ``table.words_of``.
        others: Return nouns of no class too.
    """
    spans = [(match.start(), match.end()) for match in _WORD.finditer(caption)]
    tokens = [re.sub(r"['’]s?$", "", caption[start:end].lower().removesuffix("'s")) for start, end in spans]
    found = _merged(_Reader(table.words_of(classes), tokens).mentions())
    return tuple(
        NamedObject(entry.labels[0] if entry.labels else entry.lemma, start, end, caption[start:end], entry.labels)
        for first, last, entry in found
        if entry.labels or others
        for start, end in [(spans[first][0], spans[last - 1][1])]
    )


@lru_cache(maxsize=65536)
def implied_by(caption: str) -> frozenset[str]:
    """Returns the classes that a caption names or implies: ``a skier`` implies skis.

    References use this as truth: who writes it has seen the object, though the caption does not name it.
    """
    named = {label for one in objects_of(caption) for label in one.labels}
    tokens = [match.group().lower() for match in _WORD.finditer(caption)]
    pairs = [*tokens, *(f"{first} {second}" for first, second in zip(tokens, tokens[1:], strict=False))]
    forms = {form for token in pairs for form in table.singular(token)}
    return frozenset(named.union(*(table.IMPLIES[form] for form in forms if form in table.IMPLIES)))


class _Reader:
    """Reads the tokens of a caption."""

    def __init__(self, words: Words, tokens: Sequence[str]) -> None:
        self.words, self.tokens = words, tokens

    def mentions(self) -> list[tuple[int, int, Entry]]:
        """Returns first token, token behind the last one, and entry of everything that is named."""
        found: list[tuple[int, int, Entry]] = []
        at = 0
        while at < len(self.tokens):
            match = table.find(self.words, self.tokens, at)
            if match is None:
                at = at + 1 if not self._is_ball(at) else self._take(found, at, 1, Entry(("sports ball",), "ball"))
                continue
            length, entry = match
            if (entry.labels or entry.is_other) and not self._is_excluded(found, at, length, entry):
                at = self._take(found, at, length, entry)
            else:
                at += length
        return found

    @staticmethod
    def _take(found: list[tuple[int, int, Entry]], at: int, length: int, entry: Entry) -> int:
        found.append((at, at + length, entry))
        return at + length

    def _token(self, position: int) -> str:
        return self.tokens[position] if 0 <= position < len(self.tokens) else ""

    def _is_excluded(self, found: Sequence[tuple[int, int, Entry]], at: int, length: int, entry: Entry) -> bool:
        """Whether the words that name an object elsewhere do not name it here."""
        last, before, after = self._token(at + length - 1), self._token(at - 1), self._token(at + length)
        if last in table.GROUP and after == "of":
            return True
        if length == 1 and (last in table.AMBIGUOUS or entry.is_other) and "person" not in entry.labels:
            subject = bool(found) and found[-1][1] == at and bool(_LIVING & set(found[-1][2].labels))
            if before in _SUBJECTS or subject:
                return True
        if before in table.TOYS and "teddy bear" not in entry.labels and "person" not in entry.labels:
            return True
        is_singular = last == entry.lemma.split()[-1]
        return is_singular and after in table.HEADS and "person" not in entry.labels and not entry.is_other

    def _is_ball(self, at: int) -> bool:
        """Whether a game such as football is a ball here: after an article, and before no other noun."""
        if not any(form in table.DETERMINED for form in table.singular(self.tokens[at])):
            return False
        after = self._token(at + 1)
        blocked = after in table.HEADS or after in _TEAM
        noun = after and table.find(self.words, self.tokens, at + 1) is not None
        return self._token(at - 1) in _DETERMINERS and not blocked and not noun


def _merged(found: Sequence[tuple[int, int, Entry]]) -> list[tuple[int, int, Entry]]:
    """Joins adjacent words of one object (``baby boy``), and drops attributes of another (``baby bird``)."""
    merged: list[tuple[int, int, Entry]] = []
    for first, last, entry in found:
        if merged and merged[-1][1] == first and entry.labels:
            start, _, before = merged[-1]
            if before.labels == entry.labels:
                merged[-1] = (start, last, entry)
                continue
            if before.lemma in table.MODIFIERS:
                merged.pop()
        merged.append((first, last, entry))
    return merged
