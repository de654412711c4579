"""The corrected captions of a retraining: a file in its run, in which every image learns or tests.

The file is a snapshot: a resumed training reads the same captions, whatever was corrected meanwhile.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from capsmith.config import Config
from capsmith.core.errors import ConfigError, DataError
from capsmith.core.files import write_text
from capsmith.core.log import get_logger
from capsmith.data.record_builder import safe_id
from capsmith.data.text.language import detect_writing
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import UNK, Vocabulary

logger = get_logger(__name__)

FILE = "corrections.jsonl"
"""The name of the file: JSON lines with ``image``, ``caption`` and ``split``."""
LEAST = 10
"""The smallest number of corrections to retrain from."""
_ROUGH = 50  # corrections below which a note says that the figures are rough
_HELD_OUT, _LEAST_HELD_OUT = 0.2, 4
_MOST_UNKNOWN = 0.2  # share of the words that a model of subword pieces may be unable to spell


def usable(corrections: Mapping[str, str], root: Path, config: Config) -> dict[str, str]:
    """Returns the corrections that a model can learn from.

    Args:
        corrections: The caption of each image, by its path relative to ``root``.
        root: The folder of the images.
        config: The config of the model: its ``text`` section reads the captions.

    Raises:
        DataError: There are too few.
        ConfigError: The captions are in a script that the model cannot read.
    """
    found: dict[str, str] = {}
    skipped: dict[str, list[str]] = {}
    for name, caption in corrections.items():
        if not (root / name).is_file():
            skipped.setdefault("image that no longer exists", []).append(name)
        elif safe_id(name) != unicodedata.normalize("NFC", name) or not name.isprintable():
            skipped.setdefault("name that no table of captions can hold", []).append(name)
        elif not tokenise(caption, config.text):
            skipped.setdefault("caption without words", []).append(name)
        else:
            found[name] = caption
    for kind, names in skipped.items():
        logger.info(
            f"corrections: skipped {len(names)} × {kind} ({ascii(names[0])[1:-1]:.80}{', …' * (len(names) > 1)})"
        )
    if len(found) < LEAST:
        raise DataError(
            f"{root}: {len(found)} corrected or accepted captions, and retraining needs at least {LEAST}: correct more "
            "in the studio"
        )
    _require_script(found.values(), config)
    return found


def require_spelling(captions: Iterable[str], vocabulary: Vocabulary, config: Config) -> None:
    """Checks that a model of subword pieces, which gets no new ones, can spell captions.

    Raises:
        ConfigError: It cannot spell many of their words.
    """
    words = [ids for caption in captions for ids in vocabulary.encode_words(tokenise(caption, config.text))]
    unknown = sum(UNK in ids for ids in words) / max(len(words), 1)
    if vocabulary.pieces and unknown > _MOST_UNKNOWN:
        raise ConfigError(
            f"the model's pieces of words (text.mode subword) cannot spell {unknown:.0%} of the corrected words: train "
            "a new model on your captions (capsmith init)"
        )


def held_out(images: Iterable[str]) -> frozenset[str]:
    """Returns the images that test: a fifth, chosen by a hash of the name, and at least four.

    An image keeps its part when others are added: a later model is never tested on what an earlier one learned.
    """
    ranked = sorted((_place(name), name) for name in images)
    return frozenset(name for rank, (place, name) in enumerate(ranked) if place < _HELD_OUT or rank < _LEAST_HELD_OUT)


def write_corrections(path: Path, corrections: Mapping[str, str]) -> None:
    """Writes the snapshot, atomically, and notes how far its figures can be trusted."""
    dev = held_out(corrections)
    rows = [
        {"image": name, "caption": caption, "split": "dev" if name in dev else "train"}
        for name, caption in corrections.items()
    ]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    logger.info(f"corrections: {len(rows) - len(dev):,} to learn from, {len(dev):,} held out for dev")
    if len(rows) < _ROUGH:
        logger.info(f"note: dev scores of {len(dev)} images are rough; {_ROUGH} corrections or more say more")


def _place(name: str) -> float:
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _require_script(captions: Iterable[str], config: Config) -> None:
    writing = detect_writing(captions)
    if not writing.spaced and config.text.mode != "char":
        raise ConfigError(
            f"the corrected captions are in {writing}, without spaces between words, and the model reads words "
            f"(text.mode {config.text.mode}): train a new model on your captions (capsmith init)"
        )
