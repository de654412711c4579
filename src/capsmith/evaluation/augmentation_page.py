"""What training would see of some images: crops, mirrored ones, other light, and what becomes of their captions."""

import hashlib
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.config import Config
from capsmith.core.errors import ImageError
from capsmith.data.onboarding.statistics import Survey
from capsmith.data.records import Record
from capsmith.data.sources import flip_ids, known_pairs
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.evaluation.html import THUMBNAIL, cards, image, save_copy
from capsmith.vision.augment import AugmentConfig, augment
from capsmith.vision.cached_crops import crop_of, is_mirrored
from capsmith.vision.images import load_image

_IMAGES, _MOST = 6, 3


class Variants:
    """The variants of a config's training images, or, where it has none, those that the defaults would make.

    Args:
        config: What varies, and which words exchange their places.
        found: The data set.
        seed: Another seed shows other images and draws other variants.
    """

    def __init__(self, config: Config, found: Survey, seed: int) -> None:
        training = config.training
        self.found, self.seed = found, seed
        self.off = not training.cached_crops and training.augment is None
        self.augment = training.augment
        self.count = min(training.cached_crops, _MOST) if training.cached_crops else _MOST
        if self.off and config.trains_encoder:
            self.augment = AugmentConfig(mirror=config.text.mode != "subword")
        elif self.off and config.text.mode == "subword":
            self.count = 0  # views are mirrored, which subwords do not allow
        kept = {word for word, times in found.words.items() if times >= config.text.min_count}
        self.pairs = known_pairs(kept, training.flip_word_pairs)
        self.left_alone = [pair for pair in training.flip_word_pairs if pair not in self.pairs]

    def html(self, folder: Path, used: set[str]) -> str:
        """Returns a part of a page; writes its images into ``folder`` and adds their names to ``used``."""
        shown = [self._card(record, number, folder, used) for record in self._chosen() for number in self._numbers()]
        heading = "What the defaults would show" if self.off else "Views that training would see"
        told = "".join(f"<p>{escape(line)}</p>" for line in self._told())
        return f"<h2>{heading}</h2>{told}{cards(shown)}"

    def _told(self) -> list[str]:
        lines = []
        if self.off:
            way = "training.cached_crops: 3" if self.augment is None else "training.augment: {}"
            shown = f"With {way} it would see these." if self.count else "Views are not for text.mode subword."
            lines.append(
                "Both are off in this config: training.cached_crops is 0 and training.augment is not set, so training "
                f"sees every image as it is. {shown}"
            )
        elif self.augment is None:
            lines.append("Views of training.cached_crops.")
        else:
            lines.append("Variants of training.augment; training draws new ones each time.")
        if self._mirrors():
            lines.append("In captions of mirrored images the words of training.flip_word_pairs change places.")
            lines += [
                f"Not exchanged: {' and '.join(pair)}. The vocabulary does not have both, so captions of mirrored "
                "images keep the one they hold."
                for pair in self.left_alone
            ]
        return lines

    def _mirrors(self) -> bool:
        return self.count > 0 and (self.augment is None or self.augment.mirror)

    def _numbers(self) -> range:
        return range(self.count + 1) if self.count else range(0)

    def _chosen(self) -> list[Record]:
        """Returns training images drawn at random, first those whose captions hold a word that changes place."""
        there = [record for record in self.found.corpus.records if record.split == "train"]
        order = np.random.default_rng(self.seed).permutation(len(there))
        drawn = [there[place] for place in order]
        return sorted(drawn, key=lambda record: self._telling(record) is None)[:_IMAGES]

    def _telling(self, record: Record) -> str | None:
        """Returns an image's first caption that mirroring changes; None when it changes none."""
        sides = {word for pair in self.pairs for word in pair}
        return next((said for said in record.captions if sides & set(tokenise(said, self.found.text))), None)

    def _card(self, record: Record, number: int, folder: Path, used: set[str]) -> str:
        tokens = tokenise(self._telling(record) or record.captions[0], self.found.text)
        mirrored = self._mirrors() and is_mirrored(number)
        before = detokenise(tokens, self.found.text)
        said = detokenise(_turned(tokens, self.pairs), self.found.text) if mirrored else before
        file = self._image(record, number, mirrored, folder)
        used |= {file} if file else set()
        was = f'<ul><li dir="auto">before: {escape(before)}</li></ul>' if said != before else ""
        name = f"view {number}{', mirrored' if mirrored else ''}" if number else "as it is"
        return (
            f'<figure>{image(file, said)}<figcaption><p class="caption" dir="auto">{escape(said)}</p>{was}'
            f'<div class="id"><span>{escape(record.image_id)}</span><span>{name}</span></div></figcaption></figure>'
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
        """Returns what draws this variant of this image, and no other one."""
        image = zlib.crc32(record.image_id.encode("utf-8", "surrogatepass"))
        return np.random.default_rng((self.seed, image, number))


def _turned(tokens: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the tokens of a mirrored image's caption."""
    words = sorted(set(tokens) | {word for pair in pairs for word in pair})
    other = flip_ids(words, pairs)
    return [words[other[words.index(word)]] for word in tokens]
