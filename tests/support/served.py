"""A captioner without a network for tests of the service: the caption names the colour and the search."""

import threading
from types import SimpleNamespace

import numpy as np

from capsmith.data.text.plain_settings import text_from
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.plain_settings import changed, settings_from
from capsmith.models.caption import Caption
from tests.support.exports import TEXT

SIZE = (8, 8)
BROKEN, BROKEN_SEARCH = 13, 14
"""Colours for which the CNN, or the search, raises an error."""


class ServedCaptioner:
    """Captions such as ``colour 7 beam 5``; ``encoded`` and ``searched`` hold the batches, each a list of colours.

    ``gates["encode"]`` and ``gates["search"]`` are events; a stage waits until its gate is open.
    """

    domain = None
    attends = True
    image_sizes = [SIZE]
    members = ()

    def __init__(self):
        self.config = SimpleNamespace(decoding=settings_from({"type": "beam"}), text=text_from(TEXT))
        self.vocabulary = Vocabulary.build([["a", "colour", "red", "green"]])
        self.encoded, self.searched, self.detailed, self.decodings = [], [], [], []
        self.gates = {"encode": threading.Event(), "search": threading.Event()}
        self.open()

    def open(self, *stages):
        for stage in stages or self.gates:
            self.gates[stage].set()

    def shut(self, *stages):
        for stage in stages or self.gates:
            self.gates[stage].clear()

    def chosen(self, decoding, settings):
        return changed(self.config.decoding, decoding, **settings)

    def encode(self, pixels):
        self.encoded.append(pixels[:, 0, 0, 0].tolist())
        assert self.gates["encode"].wait(30)
        if BROKEN in self.encoded[-1]:
            raise ValueError("the CNN fails")
        return pixels[:, 0, 0, :].astype(np.float32)

    def caption_features(self, features, decoding):
        self.searched.append(features[:, 0].astype(int).tolist())
        self.decodings.append(decoding)
        assert self.gates["search"].wait(30)
        if BROKEN_SEARCH in self.searched[-1]:
            raise MemoryError("the search fails")
        texts = [text_for(row, decoding) for row in features[:, 0]]
        return [Caption(text, -0.5, -1.5, (Caption(f"not {text}", -1.0, -2.5),), tuple(text.split())) for text in texts]

    def word_details(self, features, captions, attention=False):
        from dataclasses import replace

        self.detailed.append((features[:, 0].astype(int).tolist(), attention))
        assert [caption.words[1] for caption in captions] == [str(int(row)) for row in features[:, 0]]
        maps = [np.full((len(caption.words), 2, 2), 0.25) for caption in captions]
        return [
            replace(caption, probabilities=(0.5,) * len(caption.words), attention=own if attention else None)
            for caption, own in zip(captions, maps, strict=True)
        ]


def text_for(colour, decoding):
    return f"colour {int(colour)} {decoding.type} {decoding.max_length}"


def pixels_of(*colours):
    """Returns images for ``Batcher.caption``, one for each colour."""
    return [[np.full((*SIZE, 3), colour, np.uint8)] for colour in colours]
