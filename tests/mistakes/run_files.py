"""Other files of a run, damaged or forged: caption indices, vocabularies, JSON files and weights."""

import json
import os
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.checkpoints import _caption, _with
from tests.mistakes.special import DEEP, device, pipe

# --- caption indices --------------------------------------------------------------------------------------------------


def _caption_index(shop: Workshop, **changes: Any) -> list[str]:
    """Captions with a run whose caption index of two images has some other arrays."""
    run = shop.run()
    (channels,) = json.loads((run / "captioner.json").read_text())["feature_shape"]
    half, single = np.float16, np.float32
    arrays = {
        "vectors": np.zeros((2, 4), half),
        "mean": np.zeros(channels, single),
        "visual_projection": np.zeros((channels, 2), single),
        "semantic_projection": np.zeros((channels, 2), single),
        "tokens": np.array([4, 5, 6], np.int32),
        "lengths": np.array([2, 1], np.int32),
        "captions_per_image": np.array([1, 1], np.int32),
        "concept_tokens": np.array([4, 5]),
        "concept_idf": np.ones(2),
        "concept_encode": np.zeros((channels, 1), single),
        "concept_decode": np.zeros((1, 2), single),
        **changes,
    }
    np.savez_compressed(
        run / "caption_index.npz", **{name: value for name, value in arrays.items() if value is not None}
    )
    return [*_caption(shop, run), "--set", "decoding.rerank.type=mbr"]


INDEXES: dict[str, tuple[str, dict[str, Any]]] = {
    "a caption index of words below zero": ("tokens", {"tokens": np.array([4, -5, 6])}),
    "a caption index of words that the run does not know": ("tokens", {"tokens": np.array([4, 5, 10**6])}),
    "a caption index of words that are dates": ("datetime64", {"tokens": np.zeros(3, "M8[s]")}),
    "a caption index of words that are texts": ("tokens", {"tokens": np.array(["a", "ball", "red"])}),
    "a caption index of complex numbers": ("complex", {"vectors": np.zeros((2, 4), complex)}),
    "a caption index with NaN": ("vectors", {"vectors": np.full((2, 4), np.nan, np.float16)}),
    "a caption index of another encoder's size": ("255", {"mean": np.zeros(255, np.float32)}),
    "a caption index whose arrays differ in size": (
        "semantic_projection",
        {"semantic_projection": np.zeros((9, 2), np.float32)},
    ),
    "a caption index whose projections are narrower": (
        "projections",
        {"semantic_projection": np.zeros((256, 1), np.float32)},
    ),
    "a caption index of too many axes": ("tokens", {"tokens": np.zeros((3, 1), int)}),
    "a caption index with lengths that do not add up": ("lengths", {"lengths": np.array([2**62, 2**62])}),
    "a caption index that lacks an array": ("captions_per_image", {"captions_per_image": None}),
    "a caption index with a surplus array": ("'surplus'", {"surplus": np.zeros(3)}),
    "a caption index that unpacks to 20 MB": ("unpack", {"tokens": np.zeros(5_000_000, np.int32)}),
}


def _index_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _caption_index(shop, **changes)


for _name, (_says, _changes) in INDEXES.items():
    mistake(_name, "caption_index.npz", _says)(_index_case(_changes))


# --- the other files of a run -----------------------------------------------------------------------------------------


def _words(shop: Workshop, **changes: Any) -> list[str]:
    content = json.loads((shop.toy.run / "vocabulary.json").read_text())
    return _with(shop, "vocabulary.json", json.dumps({**content, **{k: v(content[k]) for k, v in changes.items()}}))


@mistake("a vocabulary of halves of surrogate pairs", "vocabulary.json", "surrogate")
def _(shop: Workshop) -> list[str]:
    return _words(shop, words=lambda words: [*words[:-1], "\udc80"])


@mistake("a vocabulary with an infinite count", "vocabulary.json")
def _(shop: Workshop) -> list[str]:
    return _words(shop, counts=lambda counts: [*counts[:-1], float("inf")])


@mistake("a vocabulary with its words twice", "vocabulary.json", "'words'")
def _(shop: Workshop) -> list[str]:
    text = (shop.toy.run / "vocabulary.json").read_text()
    return _with(shop, "vocabulary.json", text.replace('"words"', '"words": ["dog"], "words"', 1))


@mistake("captioner.json with a shape beyond 64 bits", "captioner.json")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "captioner.json", '{"format": 1, "feature_shape": [' + "9" * 5000 + "]}")


@mistake("encoder.json nested 100,000 deep", "encoder.json", "nested")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "encoder.json", DEEP)


def _spoilt(shop: Workshop, name: str, change: Callable[[h5py.File], None]) -> list[str]:
    run = shop.run()
    with h5py.File(run / name, "r+") as file:
        change(file)
    return _caption(shop, run)


def _datasets(file: h5py.File) -> list[h5py.Dataset]:
    result: list[h5py.Dataset] = []
    file.visititems(lambda _, item: result.append(item) if isinstance(item, h5py.Dataset) and item.ndim else None)
    return result


@mistake("weights with a link to another file", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    shop.write("other.h5", (shop.toy.run / "model.weights.h5").read_bytes())
    return _spoilt(
        shop, "model.weights.h5", lambda file: file.__setitem__("more", h5py.ExternalLink(shop / "other.h5", "/"))
    )


@mistake("weights with a link that leads nowhere", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _spoilt(shop, "model.weights.h5", lambda file: file.__setitem__("more", h5py.SoftLink("/nowhere")))


def _replace(file: h5py.File, make: Callable[[h5py.Group, str, h5py.Dataset], None]) -> None:
    old = _datasets(file)[0]
    parent, name = old.parent, old.name.rpartition("/")[2]
    shape = old[()]
    del parent[name]
    make(parent, name, shape)


@mistake("weights that lie in another file", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    where = [(os.fsencode(shop.write("numbers", bytes(10**6))), 0, h5py.h5f.UNLIMITED)]
    return _spoilt(
        shop,
        "model.weights.h5",
        lambda file: _replace(file, lambda p, n, old: p.create_dataset(n, old.shape, "f4", external=where)),
    )


@mistake("weights that are texts within HDF5", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _spoilt(
        shop,
        "model.weights.h5",
        lambda file: _replace(file, lambda p, n, old: p.create_dataset(n, data=old.astype("S9"))),
    )


@mistake("encoder weights that are not numbers", "encoder.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    def spoil(file: h5py.File) -> None:
        _datasets(file)[0][0] = np.nan

    return _spoilt(shop, "encoder.weights.h5", spoil)


@mistake("weights that are a pipe", "model.weights.h5", "pipe")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    pipe(run / "model.weights.h5")
    return _caption(shop, run)


@mistake("encoder.json that is a device", "encoder.json")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    device(run / "encoder.json")
    return _caption(shop, run)
