"""Subword pieces (WordPiece: Schuster and Nakajima 2012), so that words that are rare in training can be generated.

The library ``tokenizers`` learns the pieces from the training captions. Splitting a word needs only the list of pieces:
it is greedy from the left, with the longest piece that matches. A piece that continues a word begins with ``##``.
"""

from collections.abc import Collection, Iterable, Sequence

from capsmith.core.errors import MissingExtraError

MARK = "##"
"""Prefix of pieces that continue a word."""
SIZE = 4000
"""Default number of pieces."""


def train_wordpiece(captions: Iterable[Sequence[str]], size: int, specials: Sequence[str]) -> list[str]:
    """Learns pieces; returns them in alphabetical order.

    Args:
        captions: The words of each training caption.
        size: Maximum number of pieces, exceeded if needed so that every character has one piece that begins and one
            that continues a word.
        specials: Words that must not become pieces.

    Raises:
        MissingExtraError: ``tokenizers`` is not installed.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError as error:
        raise MissingExtraError("tokenizers", "text", "text.mode: subword") from error
    model = Tokenizer(models.WordPiece(unk_token=specials[1]))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, continuing_subword_prefix=MARK, special_tokens=[], show_progress=False
    )
    texts = [" ".join(words) for words in captions]
    model.train_from_iterator(texts, trainer)
    letters = {letter for text in texts for letter in text} - {" "}
    pieces = {*model.get_vocab(), *letters, *(MARK + letter for letter in letters)}
    return sorted(piece for piece in pieces if piece not in specials and piece != MARK)


def split_word(word: str, pieces: Collection[str]) -> list[str] | None:
    """Splits a word into pieces, the longest first; None if one of its characters is in no piece."""
    parts, start = [], 0
    while start < len(word):
        mark = MARK if start else ""
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in pieces), None)
        if end is None:
            return None
        parts.append(mark + word[start:end])
        start = end
    return parts


def join_pieces(pieces: Iterable[str]) -> list[str]:
    """Joins pieces into words."""
    words: list[str] = []
    for piece in pieces:
        if continues_word(piece) and words:
            words[-1] += piece[len(MARK) :]
        else:
            words.append(piece[len(MARK) :] if continues_word(piece) else piece)
    return words


def continues_word(piece: str) -> bool:
    """Returns whether a piece continues a word."""
    return piece.startswith(MARK) and len(piece) > len(MARK)
