"""Variants of images as used in training: crops, mirrored and recoloured images, and their captions."""

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from capsmith.config import Config
from capsmith.core.errors import ImageError
from capsmith.data.onboarding.statistics import DatasetStatistics
from capsmith.data.records import Record
from capsmith.data.sources import flip_ids, known_pairs
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.evaluation.html import THUMBNAIL, Card, save_copy
from capsmith.vision.augment import AugmentConfig, augment
from capsmith.vision.cached_crops import crop_of, is_mirrored
from capsmith.vision.images import load_image

_IMAGES, _MOST = 6, 3


class Variants:
    """The variants of a config's training images, or those of the default settings if augmentation is disabled.

    Args:
        config: The augmentation settings, and the pairs of words that mirroring exchanges.
        statistics: The dataset and its statistics.
        seed: The seed of the images and of their variants.
    """

    def __init__(self, config: Config, statistics: DatasetStatistics, seed: int) -> None:
        training = config.training
        self.statistics, self.seed = statistics, seed
        self.disabled = not training.cached_crops and training.augment is None
        self.augment = training.augment
        self.count = min(training.cached_crops, _MOST) if training.cached_crops else _MOST
        if self.disabled and config.trains_encoder:
            self.augment = AugmentConfig(mirror=config.text.mode != "subword")
        elif self.disabled and config.text.mode == "subword":
            self.count = 0  # cached crops are mirrored, which subwords do not support
        vocabulary = {word for word, times in statistics.word_counts.items() if times >= config.text.min_count}
        self.pairs = known_pairs(vocabulary, training.flip_word_pairs)
        self.unknown_pairs = [pair for pair in training.flip_word_pairs if pair not in self.pairs]

    def section(self, folder: Path, used: set[str]) -> dict[str, Any]:
        """Returns what the template shows; writes its images to ``folder`` and adds their names to ``used``."""
        return {
            "heading": "Variants with the default settings" if self.disabled else "Variants used in training",
            "notes": self._notes(),
            "cards": [self._card(record, n, folder, used) for record in self._chosen() for n in self._numbers()],
        }

    def _notes(self) -> list[str]:
        lines = []
        if self.disabled:
            setting = "training.cached_crops: 3" if self.augment is None else "training.augment: {}"
            effect = f"With {setting}, it would use these." if self.count else "Crops do not support text.mode subword."
            lines.append(
                "Both are off in this config: training.cached_crops is 0 and training.augment is not set, so training "
                f"uses every image unchanged. {effect}"
            )
        elif self.augment is None:
            lines.append("Crops of training.cached_crops.")
        else:
            lines.append("Variants of training.augment; training draws new ones each time.")
        if self._mirrors():
            lines.append("In captions of mirrored images the words of training.flip_word_pairs are exchanged.")
            lines += [
                f"Not exchanged: {' and '.join(pair)}. The vocabulary does not have both, so captions of mirrored "
                "images keep the word."
                for pair in self.unknown_pairs
            ]
        return lines

    def _mirrors(self) -> bool:
        return self.count > 0 and (self.augment is None or self.augment.mirror)

    def _numbers(self) -> range:
        return range(self.count + 1) if self.count else range(0)

    def _chosen(self) -> list[Record]:
        """Returns random training images, first those with a caption that mirroring changes."""
        training = [record for record in self.statistics.corpus.records if record.split == "train"]
        order = np.random.default_rng(self.seed).permutation(len(training))
        drawn = [training[index] for index in order]
        return sorted(drawn, key=lambda record: self._affected_caption(record) is None)[:_IMAGES]

    def _affected_caption(self, record: Record) -> str | None:
        """Returns the first caption of an image that mirroring changes; None if there is none."""
        sides = {word for pair in self.pairs for word in pair}
        text = self.statistics.text
        return next((caption for caption in record.captions if sides & set(tokenise(caption, text))), None)

    def _card(self, record: Record, number: int, folder: Path, used: set[str]) -> Card:
        tokens = tokenise(self._affected_caption(record) or record.captions[0], self.statistics.text)
        mirrored = self._mirrors() and is_mirrored(number)
        before = detokenise(tokens, self.statistics.text)
        caption = detokenise(_flipped(tokens, self.pairs), self.statistics.text) if mirrored else before
        file = self._image(record, number, mirrored, folder)
        used |= {file} if file else set()
        return Card(
            file,
            alt=caption,
            name=record.image_id,
            caption=caption,
            lines=[f"before: {before}"] if caption != before else [],
            note=f"view {number}{', mirrored' if mirrored else ''}" if number else "unchanged",
        )

    def _image(self, record: Record, number: int, mirrored: bool, folder: Path) -> str | None:
        crop = crop_of(record.image_id, number) if self.augment is None else None
        try:
            pixels = load_image(record.path, (THUMBNAIL * 3 // 4, THUMBNAIL), crop=crop)
        except ImageError:
            return None
        if self.augment is not None and number:
            pixels = augment(pixels, self.augment, self._rng(record, number), mirrored)
        name = hashlib.sha256(f"{record.image_id}\0{number}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return save_copy(Image.fromarray(pixels), f"{name}.jpg", folder)

    def _rng(self, record: Record, number: int) -> np.random.Generator:
        """Returns the random generator of one variant of one image."""
        image = zlib.crc32(record.image_id.encode("utf-8", "surrogatepass"))
        return np.random.default_rng((self.seed, image, number))


def _flipped(tokens: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the tokens of a caption for the mirrored image."""
    words = sorted(set(tokens) | {word for pair in pairs for word in pair})
    other = flip_ids(words, pairs)
    return [words[other[words.index(word)]] for word in tokens]
