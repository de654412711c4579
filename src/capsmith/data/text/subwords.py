"""Words cut into pieces (WordPiece: Schuster and Nakajima 2012), so that a word nobody wrote in training can be said.

The pieces are learned from the words of the training captions by the library ``tokenizers``; cutting needs nothing but
their list: from the left, always the longest piece that fits. A piece that goes on inside a word begins with ``##``.
"""

from collections.abc import Collection, Iterable, Sequence

from capsmith.core.errors import MissingExtraError

MARK = "##"
SIZE = 4000
"""Pieces learned where ``text.max_words`` says nothing."""


def train_wordpiece(captions: Iterable[Sequence[str]], size: int, specials: Sequence[str]) -> list[str]:
    """Learns pieces; they come in alphabetical order.

    Args:
        captions: Words of the training captions.
        size: Pieces at most; every character has one to begin a word and one to go on, whatever this says.
        specials: Words that are no piece.

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
    written = [" ".join(words) for words in captions]
    model.train_from_iterator(written, trainer)
    letters = {letter for caption in written for letter in caption} - {" "}
    found = {*model.get_vocab(), *letters, *(MARK + letter for letter in letters)}
    return sorted(piece for piece in found if piece not in specials and piece != MARK)


def split_word(word: str, pieces: Collection[str]) -> list[str] | None:
    """Cuts a word into pieces, the longest that fits first; None where one of its characters is in no piece."""
    found, start = [], 0
    while start < len(word):
        mark = MARK if start else ""
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in pieces), None)
        if end is None:
            return None
        found.append(mark + word[start:end])
        start = end
    return found


def words_of(pieces: Iterable[str]) -> list[str]:
    """Puts pieces together into words."""
    words: list[str] = []
    for piece in pieces:
        if goes_on(piece) and words:
            words[-1] += piece[len(MARK) :]
        else:
            words.append(piece[len(MARK) :] if goes_on(piece) else piece)
    return words


def goes_on(piece: str) -> bool:
    """Returns whether a piece stands inside a word."""
    return piece.startswith(MARK) and len(piece) > len(MARK)
