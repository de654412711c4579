"""Rules that find English captions which no native speaker would write.

Each rule takes a caption's words (coco-caption tokens: lower case, no punctuation) and returns its own name when it
finds a fault, else None. The rules find part of what a reader would object to, and nothing that is merely untrue or
absurd. Their rate on human captions is reported beside every share (``tools.caption_statistics``): it bounds the false
alarms, since people make mistakes too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from capsmith.metrics.diversity import is_truncated, repeats

Words = Sequence[str]

ARTICLES = frozenset("a an the".split())
_ONE = frozenset("a an another each one".split())
_PLURALS = frozenset(
    "people men women children dogs boys girls kids guys players cyclists bikers skiers surfers horses rocks trees "
    "animals puppies babies toddlers teenagers ladies adults birds cars bikes buildings hands legs waves sticks toys "
    "chairs flowers swings bicycles motorcycles racers hikers friends workers runners soldiers".split()
)
_COMPOUND = frozenset("people men women children horses dogs girls boys".split())
"""Plurals that a noun may follow: "a girls soccer team"."""
_PREPOSITIONS = frozenset("of with for at by from into onto near in on to through over under behind".split())
_SECOND = frozenset("of with for at by from into onto in on to".split())
_PAIRS_USED = frozenset(
    "from in|from on|from under|from behind|from over|in to|on to|on by|on at|on in|on from|on with|by in|by on|by to|"
    "over to|over by|over in|over on|over at|over from|over with|under to|near to|through to|through on|through with|"
    "through in|through by|through at|behind in|behind on|behind by|in at|in on|in by|in from|in of|in with|in for|"
    "on for|on of|to in|to of|to by".split("|")
)
"""Prepositions that do stand side by side: phrasal verbs ("looks on at", "walks by in") and "in front"."""
_MAY_END = frozenset("in on by to from near for next her".split())
"""Words that usually need a continuation but may end a caption: "looking on", "next to her"."""
_COLOURS = frozenset("red blue green yellow black white brown orange pink purple gray grey tan".split())
_SINGULAR = frozenset("man woman boy girl child dog person baby lady guy kid toddler biker skier surfer player".split())
_BREAK = frozenset(
    "and or who that which while as with in on at by of for from to into near through over under behind up down "
    "wearing holding playing standing sitting riding running walking jumping looking".split()
)


def repeated(words: Words) -> str | None:
    """A word or a run of words twice in a row: "a dog a dog"."""
    return "repeated" if repeats(words) else None


def dangling(words: Words) -> str | None:
    """The caption ends on an article, a conjunction or a preposition, or on "in a red"."""
    unfinished = is_truncated(words) and words[-1] not in _MAY_END
    coloured = len(words) > 2 and words[-1] in _COLOURS and words[-2] in ARTICLES
    return "dangling" if unfinished or coloured else None


def number_clash(words: Words) -> str | None:
    """A singular article before a plural: "a people". Allowed where a noun follows, as in "a girls team"."""
    for first, second, third in zip(words, words[1:], [*words[2:], ""], strict=False):
        if first in _ONE and second in _PLURALS and (second not in _COMPOUND or third in _BREAK | {"", "is", "are"}):
            return "number_clash"
    return None


def double_article(words: Words) -> str | None:
    """Two articles, or an article and a pronoun, side by side: "a the", "the his"."""
    second = ARTICLES | {"his", "her", "their", "its", "some"}
    pairs = zip(words, words[1:], strict=False)
    return "double_article" if any(a in ARTICLES and b in second for a, b in pairs) else None


def double_preposition(words: Words) -> str | None:
    """Two prepositions side by side that do not go together: "of with", "for of"."""
    for first, second in zip(words, words[1:], strict=False):
        if first in _PREPOSITIONS and second in _SECOND and f"{first} {second}" not in _PAIRS_USED:
            return "double_preposition"
    return None


def stranded_function_word(words: Words) -> str | None:
    """An article before a word that cannot start a noun phrase: "a is", "the in", "a and"."""
    after = _PREPOSITIONS - {"over", "under", "near"} | {"is", "are", "and", "or", "who", "while", "as"}
    pairs = zip(words, words[1:], strict=False)
    return "stranded_function_word" if any(a in ARTICLES and b in after for a, b in pairs) else None


def agreement(words: Words) -> str | None:
    """Subject and verb disagree: "two men is", "a man are". "A group of … is" and "… are" are both accepted."""
    for place, verb in enumerate(words):
        if verb not in ("is", "are") or place < 2:
            continue
        subject = words[place - 1]
        before = words[: place - 1]
        if verb == "is" and subject in _PLURALS and not {"of", "and", "with", "group"} & set(before):
            return "agreement"
        simple = len(before) <= 3 and before[0] in _ONE and not set(before) & (_BREAK | {"group", "of"})
        if verb == "are" and subject in _SINGULAR and simple:
            return "agreement"
    return None


def double_verb(words: Words) -> str | None:
    """Two finite verbs in a row: "is are", "is runs", "are jumps"."""
    finite = frozenset("is are runs jumps plays stands sits rides walks looks holds wears".split())
    pairs = zip(words, words[1:], strict=False)
    return "double_verb" if any(a in ("is", "are") and b in finite for a, b in pairs) else None


def noun_and_its_plural(words: Words) -> str | None:
    """A noun beside its own plural: "a rock rocks"."""
    pairs = zip(words, words[1:], strict=False)
    return "noun_and_its_plural" if any(len(a) > 2 and (b == a + "s" or a == b + "s") for a, b in pairs) else None


def joined_with_itself(words: Words) -> str | None:
    """A noun joined with itself: "a woman and a woman" instead of "two women"."""
    for start in range(len(words) - 4):
        one, noun, joint, other, again = words[start : start + 5]
        last = start + 5 == len(words) or words[start + 5] in _BREAK | {"is", "are"}
        if one in ("a", "an") and joint in ("and", "with") and other in ("a", "an") and noun == again and last:
            return "joined_with_itself"
    return None


RULES: tuple[Callable[[Words], str | None], ...] = (
    repeated, dangling, number_clash, double_article, double_preposition, stranded_function_word, agreement,
    double_verb, noun_and_its_plural, joined_with_itself,
)  # fmt: skip


def objections(words: Words) -> list[str]:
    """Returns the names of the rules that object to a caption."""
    return [name for rule in RULES if (name := rule(words)) is not None]


_RELATING = frozenset(
    "in on at with through over into near by under down from across behind of for along against around off onto "
    "between inside past".split()
)
_DETERMINERS = frozenset("a an the his her their its some two three another".split())
_ENDING = (
    _RELATING
    | _DETERMINERS
    | frozenset("and is are or who that which while as to up out it them him there next front top other".split())
)


def relations(words: Words) -> list[tuple[str, str]]:
    """Returns each preposition or -ing word with the noun of the phrase that follows.

    "sitting on a blue sky" gives ("on", "sky"). The phrase is taken to be the words after a determiner up to the next
    function word or -ing word, and its last word to be the noun.
    """
    pairs = []
    for place, word in enumerate(words[:-1]):
        if (word in _RELATING or word.endswith("ing")) and words[place + 1] in _DETERMINERS:
            end = place + 2
            while end < len(words) and words[end] not in _ENDING and not words[end].endswith("ing"):
                end += 1
            if end > place + 2:
                pairs.append((word, words[end - 1]))
    return pairs


class UnusualRelations:
    """Finds relations that never occur in training captions although both words are frequent there.

    Args:
        training: Captions as words.
        expected: Lowest expected count of a reported relation, from the independent counts of its two words.
    """

    def __init__(self, training: Iterable[Words], expected: float = 3.0) -> None:
        self.pairs = Counter(pair for words in training for pair in relations(words))
        self.first: Counter[str] = Counter()
        self.second: Counter[str] = Counter()
        for (first, second), count in self.pairs.items():
            self.first[first] += count
            self.second[second] += count
        self.least = expected * self.pairs.total()

    def __call__(self, words: Words) -> list[tuple[str, str]]:
        """Returns the caption's unusual relations."""
        return [
            (first, second)
            for first, second in relations(words)
            if (first, second) not in self.pairs and self.first[first] * self.second[second] >= self.least
        ]
