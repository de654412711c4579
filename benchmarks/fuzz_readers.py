"""The readers that ``fuzz.py`` fuzzes, each with valid files as a start."""

import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from capsmith.config import load_config
from capsmith.core.files import read_json
from capsmith.data.folder import FolderConfig
from capsmith.data.karpathy import KarpathyConfig
from capsmith.data.onboarding.layout import detect_layout
from capsmith.data.records import read_dataset
from capsmith.data.tables import read_table
from capsmith.data.text.glove import load_vectors
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.metrics.files import read_captions
from capsmith.models.checkpoints import read_progress
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.training.history import read_csv
from capsmith.vision.images import load_image
from capsmith.vision.store import FeatureStore

_WORDS = Vocabulary.build([["a", "red", "ball"], ["a", "box"]], min_count=1)


def _images() -> list[bytes]:
    made = []
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.new("RGB", (9, 7), (200, 30, 90)).save(buffer, kind)
        made.append(buffer.getvalue())
    return made


def _table(path: Path) -> None:
    (path.parent / "a.jpg").write_bytes(_IMAGES[0])
    for _ in read_table(path, {}).rows:
        pass
    detect_layout(path.parent, path)
    read_dataset(FolderConfig(root=path.parent, captions=Path(path.name)))


def _pooled(path: Path) -> None:
    store = FeatureStore.open(path.parent)
    store.gather(store.rows(store.ids))


def _pooled_with(manifest: bytes) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        (path.parent / "manifest.json").write_bytes(manifest)
        _pooled(path)

    return read


def _store() -> tuple[bytes, bytes]:
    """Returns the manifest and features of a pooled store."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        FeatureStore.create(place, ["a.jpg"], np.ones((1, 4), np.float32))
        return (place / "manifest.json").read_bytes(), (place / "features.pkl").read_bytes()


def _saved(words: Vocabulary) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        words.save(Path(folder) / "vocabulary.json")
        return (Path(folder) / "vocabulary.json").read_bytes()


def _arrays(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _state() -> bytes:
    progress = np.frombuffer(b'{"metric": "cider", "rows": [], "scale": 1.0}', np.uint8)
    return _arrays(progress=progress, v0=np.ones(3, np.float32))


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../progress.npy", pickle.dumps({"a": 1}))
    return buffer.getvalue()


def _karpathy(path: Path) -> None:
    (path.parent / "a.jpg").write_bytes(_IMAGES[0])
    read_dataset(KarpathyConfig(root=path.parent, captions=Path(path.name), images=Path()))


_IMAGES = _images()
_MANIFEST, _FEATURES = _store()
_ENTRY = {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A red ball."}], "imgid": 0}
READERS: dict[str, tuple[str, list[bytes], Callable[[Path], object]]] = {
    "config": (
        "config.yaml",
        [b"seed: 1\ndata: {type: flickr8k}\ntraining:\n  epochs: 3\n", b"encoder: [{type: vgg16}]\ntext: &a {}\n"],
        lambda path: load_config(path),
    ),
    "table": (
        "captions.csv",
        [
            b"image,caption\na.jpg,A red ball\n",
            b'{"image": "a.jpg", "caption": "x"}\n',
            b'image;text\n"a.jpg";"a ""b"""\n',
        ],
        _table,
    ),
    "karpathy": ("dataset.json", [json.dumps({"images": [_ENTRY]}).encode()], _karpathy),
    "scored": (
        "captions.json",
        [b'[{"image_id": 1, "caption": "a"}]', b"a.jpg#0\ta red ball\n", b"image,caption\na.jpg,a\n", b'{"a": ["b"]}'],
        lambda path: read_captions(path),
    ),
    "vocabulary": (
        "vocabulary.json",
        [_saved(_WORDS)],
        lambda path: Vocabulary.load(path).decode([0, 1, 2, 3, 4]),
    ),
    "vectors": (
        "vectors.txt",
        [b"red 0.1 0.2 0.3\nball 1 2 3\n", b"2 3\nred 1e-3 .2 .3\n"],
        lambda path: load_vectors(path, _WORDS, 3),
    ),
    "image": ("image.jpg", _IMAGES, lambda path: load_image(path, (16, 16))),
    "manifest": ("manifest.json", [_MANIFEST], _pooled),
    "features": ("features.pkl", [_FEATURES, pickle.dumps({"a.jpg": [1.0]})], _pooled_with(_MANIFEST)),
    "state": ("state.npz", [_state(), _zipped()], read_progress),
    "caption_index": ("caption_index.npz", [_state(), _zipped()], lambda path: CaptionIndex.load(path.parent)),
    "history": ("history.csv", [b"epoch,loss,dev_cider\n1,2.5,0.1\n2,,0.2\n"], read_csv),
    "json": ("report.json", [b'{"a": [1, 2.5, null, "x"]}'], read_json),
}
