"""The words of captions, and how well a caption matches some of them: BM25.

Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", eq. 3.15. The postings are a table
of the index, and not SQLite's FTS5: that is missing in some builds, and its own tables could be tampered with.
"""

import math
import re
from collections import Counter, defaultdict

from capsmith.core.database import Database
from capsmith.core.unicode import nfc
from capsmith.data.text.cleaning import classes

MAX_WORDS = 64
"""Words of a query that are looked up."""
_K1, _B = 1.2, 0.75  # how fast repetitions saturate, and how much long captions lose: the usual values
_WORD = re.compile("[a1][a1m]*")  # letters, numbers and marks, as ``classes`` writes them
_UNSPACED = re.compile(  # Thai to Burmese, kana, Han: written without spaces, so that each letter is a word
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)


def words_of(text: str) -> list[str]:
    """Returns the words of a text in the form in which they are compared: without case and punctuation."""
    spaced = _UNSPACED.sub(r" \g<0> ", nfc(nfc(text).casefold()))
    return [spaced[found.start() : found.end()] for found in _WORD.finditer(classes(spaced))]


def counted(text: str) -> dict[str, int]:
    """Returns how often each word occurs in a text."""
    return Counter(words_of(text))


def best_captions(database: Database, query: str, top: int) -> tuple[list[tuple[int, float]], list[str]]:
    """Returns the contents whose captions match a query best, and the words that occur in no caption.

    Args:
        database: The database of the index.
        query: Words in any order; a caption needs one of them.
        top: Most contents to return.

    Returns:
        Contents with their scores, best first; unknown words.
    """
    captioned, length = database.rows("SELECT count(*), avg(length) FROM contents WHERE captioner != ''")[0]
    scores: dict[int, float] = defaultdict(float)
    unknown = []
    for word in list(dict.fromkeys(words_of(query)))[:MAX_WORDS]:
        rows = database.rows(
            "SELECT w.content, w.count, c.length FROM words w JOIN contents c ON c.id = w.content WHERE w.word = ?",
            (word,),
        )
        if not rows:
            unknown.append(word)
        weight = math.log(1 + (captioned - len(rows) + 0.5) / (len(rows) + 0.5))
        for content, count, words in rows:
            scores[content] += weight * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * words / max(length or 0, 1)))
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:top], unknown
