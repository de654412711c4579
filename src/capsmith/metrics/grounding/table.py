"""The table of object classes and of the English words that name them (``objects.json``).

The classes are COCO's 80 (Lin et al. 2014). The words were written for capsmith. ``objects.json`` holds

- ``classes``: the words and compounds of each class, such as ``puppy`` and ``golden retriever`` of ``dog``;
- ``either``: words that name one of several classes, such as ``bike``;
- ``not_objects``: compounds that contain the name of a class but name another thing, such as ``table tennis``;
- ``heads``: nouns that turn a class before them into an attribute: a ``bike path`` is no bike;
- ``ambiguous``: words that are verbs as well: in ``a man skis`` nothing is named but the man;
- ``determined``: games that are balls only after an article: ``throws a football``;
- ``group``: words that name people unless ``of`` follows: ``a couple``, but ``a couple of dogs``;
- ``modifiers``: words that name a person unless another object follows: ``a baby``, but ``a baby zebra``;
- ``toys``: words after which an object is none: ``a toy car``;
- ``implies``: words that imply objects without naming them: who writes ``skier`` has seen skis;
- ``other``: common nouns of no class, so that a page can show which words a detector does not know;
- ``irregular``: plurals that no rule covers.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("objects.json").read_text(encoding="utf-8"))
VERSION: int = _TABLE["version"]
"""The version of the table: part of the signature of scores, so it grows with every change of ``objects.json``."""
CLASSES: tuple[str, ...] = tuple(_TABLE["classes"])
"""COCO's 80 classes, in COCO's order."""
HEADS, AMBIGUOUS, DETERMINED, GROUP, MODIFIERS, TOYS = (
    frozenset(_TABLE[key]) for key in ("heads", "ambiguous", "determined", "group", "modifiers", "toys")
)
IRREGULAR: dict[str, str] = _TABLE["irregular"]
IMPLIES: dict[str, tuple[str, ...]] = {word: tuple(labels) for word, labels in _TABLE["implies"].items()}


@dataclass(frozen=True)
class Entry:
    """What a word or a compound denotes.

    Attributes:
        labels: The classes that it may name, the most likely first; empty if it names no object.
        lemma: The word itself, in the singular.
        is_other: Whether it is a common noun of no class.
    """

    labels: tuple[str, ...]
    lemma: str
    is_other: bool = False


@dataclass(frozen=True)
class Words:
    """Entries by their words.

    Attributes:
        entries: Each entry by its words in the singular.
        starts: The first word of every entry.
        longest: The number of words of the longest entry.
    """

    entries: dict[tuple[str, ...], Entry]
    starts: frozenset[str]
    longest: int


_MOST_WORDS = 6  # of a class that captions name; ``find`` tries all singulars of so many words


@lru_cache(maxsize=64)
def words_of(classes: tuple[str, ...] = ()) -> Words:
    """Returns the table, extended by classes of another detector, which are matched by their own names.

    Args:
        classes: The names of the classes, in any spelling; those that the table knows add nothing.
    """
    entries = {tuple(word.split()): Entry((), word, is_other=True) for word in _TABLE["other"]}
    for label, words in _TABLE["classes"].items():
        entries.update({tuple(word.split()): Entry((label,), word) for word in words})
    entries.update({tuple(word.split()): Entry(tuple(labels), word) for word, labels in _TABLE["either"].items()})
    entries.update({tuple(word.split()): Entry((), word) for word in _TABLE["not_objects"]})
    for name in classes:
        label = canonical(name)
        if label and label not in CLASSES and label.count(" ") < _MOST_WORDS:
            known = entries.get(tuple(label.split()))
            entries[tuple(label.split())] = Entry((label, *(known.labels if known else ())), label)
    return Words(entries, frozenset(words[0] for words in entries), max(map(len, entries)))


def canonical(name: str) -> str:
    """Returns the class of the table that another name denotes, such as ``aeroplane`` or ``tvmonitor``.

    Args:
        name: The label of a detector.

    Returns:
        A class of the table, or the name itself in lower case and with spaces, if the table does not know it.
    """
    plain = " ".join(re.findall(r"[^\W_]+", name.lower()))
    return _names().get(plain.replace(" ", ""), plain)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {word.replace(" ", ""): label for label, words in _TABLE["classes"].items() for word in [*words, label]}


def canonical_labels(names: Iterable[str]) -> frozenset[str]:
    """Returns the classes that names of a detector denote; see ``canonical``."""
    return frozenset(map(canonical, names))


@lru_cache(maxsize=65536)
def singular(word: str) -> tuple[str, ...]:
    """Returns a word and what it may be the plural of. Wrong candidates do no harm: the table does not hold them."""
    forms = [word]
    if word in IRREGULAR:
        forms.append(IRREGULAR[word])
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        forms.append(word[:-1])
        if word.endswith("ies"):
            forms.append(word[:-3] + "y")
        elif word.endswith("ves"):
            forms += [word[:-3] + "f", word[:-3] + "fe"]
        if word.endswith("es"):
            forms.append(word[:-2])
    return tuple(forms)


def find(words: Words, tokens: Sequence[str], start: int) -> tuple[int, Entry] | None:
    """Returns the longest entry that begins at a token: the number of its words, and the entry."""
    heads = [form for form in singular(tokens[start]) if form in words.starts]
    if not heads:
        return None
    for length in range(min(words.longest, len(tokens) - start), 0, -1):
        candidates: list[tuple[str, ...]] = [(head,) for head in heads]
        for token in tokens[start + 1 : start + length]:
            candidates = [(*before, form) for before in candidates for form in singular(token)]
        found = next((words.entries[words_] for words_ in candidates if words_ in words.entries), None)
        if found is not None:
            return length, found
    return None
