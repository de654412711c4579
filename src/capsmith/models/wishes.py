"""The words that a search must include or avoid, as ids of a vocabulary."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from capsmith.core.errors import ConfigError, escaped
from capsmith.core.readers.text_files import read_text
from capsmith.data.text.subwords import MARK, continues_word
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import SPECIALS, UNK, Vocabulary
from capsmith.decoding.grid import Phrase
from capsmith.decoding.wishes import Wishes, has_wishes

_MOST_INCLUDED = 32  # tokens of all included words: each adds a bank of beams
_MOST_STATES = 1_000  # of their automaton, which alternatives enlarge
_MOST_PHRASES = 4_096  # excluded sequences of several tokens, which are compared at every step
_LONGEST_PHRASE = 64  # tokens
_FREQUENT = 60  # most frequent words of a vocabulary, among which its articles are
_ARTICLES = (
    "a an the der die das den dem des ein eine einen einem einer eines le la les un une el los las una unos unas il lo "
    "gli uno o os as um uma de het een en ett τον την το ο η οι τα ένας μια ένα bir ال"
).split()


def resolve(decoding: Any, vocabulary: Vocabulary, text: Any) -> Wishes | None:
    """Returns the words of a search as ids; None if it has none.

    Args:
        decoding: The search, a ``DecodingConfig``.
        vocabulary: The words that the captioner knows.
        text: Cleaning and mode of its captions, a ``TextConfig``, which also apply to these words.

    Raises:
        ConfigError: A word of the prefix, or one to include, is not in the vocabulary; words contradict each other; or
            the captions are too short for them.
    """
    if not has_wishes(decoding):
        return None
    notes: list[str] = []
    prefix = _prefix(decoding.prefix, vocabulary, text)
    exclude = _excluded(decoding, vocabulary, text, notes)
    include = tuple(_included(one, vocabulary, text, exclude, notes) for one in decoding.include)
    wishes = Wishes(
        size=len(vocabulary),
        prefix=prefix,
        exclude=exclude,
        include=include,
        continuing=frozenset(_continuing(vocabulary)) if include else frozenset(),
        n=decoding.n,
        ignored=frozenset(_ignored(vocabulary, text)) if decoding.n else frozenset(),
        notes=tuple(notes),
    )
    _require_possible(wishes, decoding)
    return wishes


def excluded_words(decoding: Any) -> list[str]:
    """Returns ``exclude`` and the words of ``exclude_file``.

    Raises:
        ConfigError: The file cannot be read, is not text, or has no words.
    """
    words = list(decoding.exclude)
    if decoding.exclude_file is not None:
        lines = [line.strip() for line in read_text(decoding.exclude_file, ConfigError).split("\n")]
        listed = [line for line in lines if line and not line.startswith("#")]
        if not listed:
            raise ConfigError(f"decoding.exclude_file: {decoding.exclude_file} has no words: write one a line")
        words += listed
    return words


def without_file(decoding: Any) -> dict[str, Any]:
    """Returns the settings of a search as JSON values, with the words of ``exclude_file`` in ``exclude``.

    So they mean the same where the file does not exist, or has changed.
    """
    values: dict[str, Any] = decoding.model_dump(mode="json")
    if decoding.exclude_file is not None:
        values |= {"exclude": excluded_words(decoding), "exclude_file": None}
    return values


def _prefix(prefix: str, vocabulary: Vocabulary, text: Any) -> Phrase:
    words = tokenise(prefix, text)
    if prefix and not words:
        raise ConfigError(f"decoding.prefix: nothing is left of {_shown(prefix)} after the run's cleaning of captions")
    if unknown := _unknown(words, vocabulary):
        raise ConfigError(f"decoding.prefix: {_advice(unknown, vocabulary)}")
    return tuple(vocabulary.encode(words))


def _excluded(decoding: Any, vocabulary: Vocabulary, text: Any, notes: list[str]) -> tuple[Phrase, ...]:
    phrases: dict[Phrase, None] = {}
    without: list[str] = []
    for one in excluded_words(decoding):
        words = tokenise(one, text)
        if not words or _unknown(words, vocabulary):
            without.append(one)
        else:
            phrases[tuple(vocabulary.encode(words))] = None
    if without:
        more = f" and {len(without) - 5:,} more" if len(without) > 5 else ""
        names = ", ".join(map(_shown, without[:5])) + more
        notes.append(
            f"decoding.exclude: {names} cannot occur in captions of this vocabulary, so nothing is excluded for it"
        )
    several = [phrase for phrase in phrases if len(phrase) > 1]
    if len(several) > _MOST_PHRASES:
        raise ConfigError(
            f"decoding.exclude: {len(several):,} phrases of several tokens are more than {_MOST_PHRASES:,}"
        )
    if longest := next((phrase for phrase in several if len(phrase) > _LONGEST_PHRASE), None):
        raise ConfigError(f"decoding.exclude: a phrase has {len(longest)} tokens, more than {_LONGEST_PHRASE}")
    return tuple(phrases)


def _included(
    one: str, vocabulary: Vocabulary, text: Any, exclude: tuple[Phrase, ...], notes: list[str]
) -> tuple[Phrase, ...]:
    """Returns the alternatives of a word or phrase to include, separated by ``|``."""
    phrases: dict[Phrase, None] = {}
    unknown, forbidden = "", ""
    for alternative in one.split("|"):
        words = tokenise(alternative, text)
        if not words:
            raise ConfigError(
                f"decoding.include: nothing is left of {_shown(alternative)} after the run's cleaning of captions"
            )
        if missing := _unknown(words, vocabulary):
            unknown = unknown or missing
            notes.append(f"decoding.include: {_advice(missing, vocabulary)}; the other words of {_shown(one)} are used")
            continue
        phrase = tuple(vocabulary.encode(words))
        if any(_contains(phrase, other) for other in exclude):
            forbidden = forbidden or alternative
            continue
        phrases[phrase] = None
    if phrases:
        return tuple(phrases)
    if forbidden:
        raise ConfigError(f"decoding.include: {_shown(forbidden)} is excluded by decoding.exclude: drop one of them")
    raise ConfigError(f"decoding.include: {_advice(unknown, vocabulary)}")


def _require_possible(wishes: Wishes, decoding: Any) -> None:
    if excluded := next((phrase for phrase in wishes.exclude if _contains(wishes.prefix, phrase)), None):
        del excluded
        raise ConfigError(f"decoding.prefix: {_shown(decoding.prefix)} has words that decoding.exclude forbids")
    singles = {phrase[0] for phrase in wishes.exclude if len(phrase) == 1}
    if len(singles) >= wishes.size - len(SPECIALS):
        raise ConfigError("decoding.exclude: every word of the vocabulary is excluded")
    tokens = wishes.banks - 1
    if tokens > _MOST_INCLUDED:
        raise ConfigError(f"decoding.include: {tokens} tokens are more than {_MOST_INCLUDED}: include fewer words")
    if sum(len(phrase) for one in wishes.include for phrase in one) > _MOST_STATES:
        raise ConfigError(f"decoding.include: the alternatives have more than {_MOST_STATES:,} tokens: list fewer")
    shortest = sum(min(map(len, one)) for one in wishes.include if not any(_contains(wishes.prefix, p) for p in one))
    needed = max(len(wishes.prefix) + shortest, 1 if wishes.prefix else 0)
    if needed > decoding.max_length:
        parts = [f"prefix {len(wishes.prefix)}"] * bool(wishes.prefix) + [f"include {shortest}"] * bool(shortest)
        raise ConfigError(
            f"decoding.max_length {decoding.max_length} is too short for {' + '.join(parts)} tokens: "
            f"set it to more than {needed}"
        )


def _unknown(words: Iterable[str], vocabulary: Vocabulary) -> str:
    """Returns the first word that has no id, or an empty string."""
    return next((word for word in words if UNK in vocabulary.encode([word])), "")


def _advice(word: str, vocabulary: Vocabulary) -> str:
    import difflib

    near = difflib.get_close_matches(word, vocabulary.words[len(SPECIALS) :], n=3, cutoff=0.6)
    close = f"; near words: {', '.join(map(escaped, near))}" if near else ""
    return f"{_shown(word)} is not in the vocabulary of this captioner{close}"


def _shown(word: str) -> str:
    return repr(escaped(word)[:60])


def _contains(tokens: Phrase, phrase: Phrase) -> bool:
    return any(tokens[start : start + len(phrase)] == phrase for start in range(len(tokens) - len(phrase) + 1))


def _continuing(vocabulary: Vocabulary) -> list[int]:
    return [number for number, word in enumerate(vocabulary.words) if vocabulary.pieces and continues_word(word)]


def _ignored(vocabulary: Vocabulary, text: Any) -> list[int]:
    """Returns the ids of punctuation, and of the articles that are among the most frequent words."""
    order = sorted(range(len(SPECIALS), len(vocabulary)), key=lambda number: -vocabulary.counts[number])
    articles = set() if text.mode == "char" else set(_ARTICLES)
    found = [number for number in order[:_FREQUENT] if vocabulary.words[number].casefold() in articles]
    for number in order:
        word = vocabulary.words[number].removeprefix(MARK if vocabulary.pieces else "")
        if all(unicodedata.category(letter)[0] in "PSZ" for letter in word):
            found.append(number)
    return found
