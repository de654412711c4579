"""CLIP as a joint embedding: ``--engine clip:PRESET_OR_PATH``.

N images or texts · d dimensions of the joint space · v dimensions of the image encoder.

Features are the image encoder's pooled output before the projection. Projected, they are the image's vector in the
joint space. As they are, they say what two images look like: they keep what a caption does not mention (Radford et al.
2021 take them for linear probes too).
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.models.clip.preset import CLIP, Preset, read_preset
from capsmith.models.clip.prompts import PROMPTS, clean, prompted
from capsmith.vision.framing import ImageSize, Resize
from capsmith.vision.hub.families import FAMILIES
from capsmith.vision.hub.presets import preset_folder

if TYPE_CHECKING:
    from capsmith.models.clip.towers import Towers

METHOD = f"clip 2, prompts {'|'.join(PROMPTS)}"
"""Changes when the same preset would give other vectors."""


def load_clip(engine: str) -> "ClipEmbedder":
    """Loads a CLIP preset. Its networks are built when the first image or text is embedded.

    Args:
        engine: ``clip:`` and a folder, or the name of a preset that keras-hub can download.

    Raises:
        CheckpointError: The folder is not a CLIP preset, or is damaged.
        ConfigError: The engine is unknown, or its weights cannot be downloaded.
        MissingExtraError: keras-hub is not installed.
    """
    kind, _, name = engine.partition(":")
    if kind != "clip" or not name.strip():
        raise ConfigError(f"--engine {engine!r} is unknown: use clip:PRESET or clip:FOLDER, see docs/clip.md")
    return ClipEmbedder(read_preset(preset_folder(name, CLIP)), engine)


class ClipEmbedder:
    """A CLIP model behind the interface ``retrieval.embedder.Embedder``.

    Args:
        preset: What ``read_preset`` returned.
        name: The model for people.
    """

    bank = None

    def __init__(self, preset: Preset, name: str) -> None:
        self.name = name
        self._preset = preset
        self._loaded: Towers | None = None
        self._fingerprint = ""
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Hash of the preset's files and of how texts are prompted."""
        if not self._fingerprint:
            self._fingerprint = self._preset.fingerprint(METHOD)
        return self._fingerprint

    @property
    def size(self) -> int:
        """Dimensions of the joint space (d)."""
        return self._preset.size

    @property
    def visual_size(self) -> int:
        """Dimensions of visual vectors (v)."""
        return self._preset.vision.hidden_dim

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels, as the only element; it says how images are brought to this size."""
        height, width, _ = self._preset.vision.image_shape
        return [ImageSize(height, width, self.framing)]

    @property
    def framing(self) -> Resize:
        """The shorter side is resized and the centre cut out, unless the preset was trained on stretched images."""
        return FAMILIES["CLIPBackbone"].framing(self._preset.vision.image_shape[0], self._preset.crops)

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the pooled outputs (N, v) of pixels (N, H, W, 3) in 0–255, uint8 or float."""
        (array,) = pixels
        scale, offset = (np.asarray(values, np.float32) for values in (self._preset.scale, self._preset.offset))
        return self._towers.pooled(np.asarray(array, np.float32) * scale + offset)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of pooled outputs (N, v)."""
        return _unit(np.asarray(features, np.float32) @ self._towers.projection)

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        """Returns the pooled outputs (N, v) as unit vectors."""
        return _unit(np.asarray(features, np.float32))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of texts; those of a phrase's prompts are averaged."""
        groups = [prompted(text) for text in texts]
        vectors = _unit(self._towers.texts([text for group in groups for text in group]))
        sums = np.zeros((len(groups), self.size), np.float32)
        np.add.at(sums, np.repeat(np.arange(len(groups)), [len(group) for group in groups]), vectors)
        return _unit(sums)

    def unknown_words(self, text: str) -> list[str]:
        """Returns the words that the tokenizer spells byte by byte: CLIP has hardly seen them."""
        words = clean(text).split()
        spelled = self._towers.pieces(words)
        return [w for w, ids in zip(words, spelled, strict=True) if len(w) > 1 and len(ids) >= len(w.lower().encode())]

    @property
    def _towers(self) -> "Towers":
        with self._lock:
            if self._loaded is None:
                from capsmith.models.clip.towers import Towers

                self._loaded = Towers(self._preset)
            return self._loaded


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)
