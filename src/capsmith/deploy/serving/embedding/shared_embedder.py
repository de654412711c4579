"""A joint embedding that threads share: one of them at a time uses it, in the order in which they came.

N images or texts · d dimensions of the joint space · v dimensions of visual vectors.
"""

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence

import numpy as np

from capsmith.retrieval.embedder import Embedder
from capsmith.vision.framing import Framing

_TEXTS = 8_192
"""Vectors of texts that are kept: an edited library is mostly the same as before."""


class Turns:
    """A lock that threads get in their order, so that a long scan lets every search in between two of its batches."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a turn, and holds it inside the block."""
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            while self._waiting[0] is not mine:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()


class SharedEmbedder:
    """Implements ``retrieval.embedder.Embedder`` for several threads, and embeds equal texts once.

    Args:
        embedder: The embedder, which from now on is used through this one only.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self._turns = embedder, Turns()
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()  # oldest use first

    @property
    def name(self) -> str:
        """See ``Embedder``."""
        return self._embedder.name

    @property
    def fingerprint(self) -> str:
        """See ``Embedder``."""
        return self._embedder.fingerprint

    @property
    def size(self) -> int:
        """See ``Embedder``."""
        return self._embedder.size

    @property
    def visual_size(self) -> int:
        """See ``Embedder``."""
        return self._embedder.visual_size

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """See ``Embedder``."""
        return self._embedder.image_sizes

    @property
    def framing(self) -> Framing:
        """See ``Embedder``."""
        return self._embedder.framing

    @property
    def bank(self) -> np.ndarray | None:
        """See ``Embedder``."""
        return self._embedder.bank

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """See ``Embedder``."""
        with self._turns.turn():
            return self._embedder.encode(*pixels)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """See ``Embedder``."""
        with self._turns.turn():
            return self._embedder.embed_features(features)

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        """See ``Embedder``."""
        with self._turns.turn():
            return self._embedder.visual_vectors(features)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See ``Embedder``."""
        with self._turns.turn():
            if missing := [text for text in dict.fromkeys(texts) if text not in self._texts]:
                self._texts.update(zip(missing, self._embedder.embed_texts(missing), strict=True))
            found = [self._texts[text] for text in texts]
            for text in texts:
                self._texts.move_to_end(text)
            while len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)
        return np.stack(found) if found else np.zeros((0, self.size), np.float32)

    def unknown_words(self, text: str) -> list[str]:
        """See ``Embedder``."""
        with self._turns.turn():
            return self._embedder.unknown_words(text)
