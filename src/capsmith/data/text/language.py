"""Detects the script and language of captions; provides each language's words for left and right."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capsmith.core.yaml_io import read_yaml

SPACELESS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
"""Scripts without spaces between words."""
RIGHT_TO_LEFT = ("Arabic", "Hebrew", "Syriac", "Thaana")
_SCRIPTS = {"CJK": "Han", "HIRAGANA": "Hiragana", "KATAKANA": "Katakana", "HANGUL": "Hangul"}
_LETTERS_OF_WORD, _LETTERS_OF_SYLLABLES = 3.5, 8.0  # mean length beyond which text between spaces is a phrase
_LEAST_COMMON = 0.08  # minimum share of common words for a language to count as detected
_LEAST_LEAD = 1.1  # minimum ratio to the share of the second language


@dataclass(frozen=True)
class Writing:
    """Script and language of captions.

    Attributes:
        script: The script of most letters, such as ``Latin``; empty without letters.
        language: The language, or an empty string if it cannot be detected.
        spaced: Whether words are separated by spaces.
    """

    script: str
    language: str
    spaced: bool

    @property
    def right_to_left(self) -> bool:
        """Whether lines run from right to left."""
        return self.script in RIGHT_TO_LEFT

    def __str__(self) -> str:
        language = f"{self.language}, " if self.language else ""
        return f"{language}{self.script or 'no'} script" + (", right to left" if self.right_to_left else "")


def detect_writing(captions: Iterable[str]) -> Writing:
    """Detects script and language by the counts of letters and of common words."""
    texts = list(captions)
    letters = Counter(script_of(character) for text in texts for character in text if character.isalpha())
    script = max(letters, key=lambda name: letters[name], default="")
    if script == "Han" and letters["Hiragana"] + letters["Katakana"] > letters["Han"] / 20:
        script = "Hiragana"  # Japanese writes its nouns in Chinese characters
    pieces = sum(len(text.split()) for text in texts)
    longest = _LETTERS_OF_WORD if script in ("Han", "Hiragana", "Katakana") else _LETTERS_OF_SYLLABLES
    phrases = sum(letters.values()) / max(pieces, 1) > longest
    spaced = script not in SPACELESS or (pieces > len(texts) and not phrases)
    return Writing(script, _detect_language(texts, script), spaced)


def side_words(language: str) -> tuple[tuple[str, str], ...]:
    """Returns pairs of words for left and right, which are exchanged for mirror images; none for other languages."""
    pairs = (pair.split() for pair in _languages().get(language, {}).get("sides", "").split(",") if pair)
    return tuple((left, right) for left, right in pairs)


@cache
def script_of(letter: str) -> str:
    """Returns the script of a letter by its Unicode name: ``Latin``, ``Arabic``, ``Han``."""
    first = unicodedata.name(letter, "").split(" ", 1)[0].split("-")[0]
    return _SCRIPTS.get(first, first.capitalize())


@cache
def _languages() -> dict[str, dict[str, str]]:
    """Returns the languages of ``languages.yaml``."""
    return read_yaml(Path(__file__).with_name("languages.yaml"))


def _detect_language(texts: Sequence[str], script: str) -> str:
    words = Counter(word for text in texts for word in text.lower().split())
    total = sum(words.values())
    share = {
        language: sum(words[word] for word in entry["common"].split()) / max(total, 1)
        for language, entry in _languages().items()
        if "common" in entry and script_of(entry["common"][0]) == script
    }
    ranked = sorted(share, key=lambda language: -share[language])
    if ranked and share[ranked[0]] > _LEAST_COMMON:
        if len(ranked) == 1 or share[ranked[0]] > _LEAST_LEAD * share[ranked[1]]:
            return ranked[0]
    return next((name for name, entry in _languages().items() if script in entry.get("script", "").split()), "")
