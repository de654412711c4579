"""The other files of a run, damaged or forged: memories, vocabularies, notes and weights."""

import json
import os
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.checkpoints import _caption, _with
from tests.mistakes.special import DEEP, device, pipe

# --- memories ---------------------------------------------------------------------------------------------------------


def _memory(shop: Workshop, **changes: Any) -> list[str]:
    """Captions with a run that remembers two images, some of whose arrays are others."""
    run = shop.run()
    (channels,) = json.loads((run / "captioner.json").read_text())["feature_shape"]
    half, single = np.float16, np.float32
    arrays = {
        "vectors": np.zeros((2, 4), half),
        "mean": np.zeros(channels, single),
        "projection": np.zeros((channels, 2), single),
        "meaning": np.zeros((channels, 2), single),
        "words": np.array([4, 5, 6], np.int32),
        "lengths": np.array([2, 1], np.int32),
        "groups": np.array([1, 1], np.int32),
        "content_words": np.array([4, 5]),
        "content_rarity": np.ones(2),
        "content_left": np.zeros((channels, 1), single),
        "content_right": np.zeros((1, 2), single),
        **changes,
    }
    np.savez_compressed(run / "memory.npz", **{name: value for name, value in arrays.items() if value is not None})
    return [*_caption(shop, run), "--set", "decoding.type=consensus"]


MEMORIES: dict[str, tuple[str, dict[str, Any]]] = {
    "a memory of words below zero": ("words", {"words": np.array([4, -5, 6])}),
    "a memory of words that the run does not know": ("words", {"words": np.array([4, 5, 10**6])}),
    "a memory of words that are dates": ("datetime64", {"words": np.zeros(3, "M8[s]")}),
    "a memory of words that are texts": ("words", {"words": np.array(["a", "ball", "red"])}),
    "a memory of complex numbers": ("complex", {"vectors": np.zeros((2, 4), complex)}),
    "a memory with NaN": ("vectors", {"vectors": np.full((2, 4), np.nan, np.float16)}),
    "a memory of another encoder's size": ("encoder", {"mean": np.zeros(255, np.float32)}),
    "a memory whose arrays differ in size": ("meaning", {"meaning": np.zeros((9, 2), np.float32)}),
    "a memory whose directions are fewer": ("directions", {"meaning": np.zeros((256, 1), np.float32)}),
    "a memory of too many axes": ("words", {"words": np.zeros((3, 1), int)}),
    "a memory with lengths that do not add up": ("sizes", {"lengths": np.array([2**62, 2**62])}),
    "a memory that lacks an array": ("groups", {"groups": None}),
    "a memory with a surplus array": ("'surplus'", {"surplus": np.zeros(3)}),
    "a memory that unpacks to 20 MB": ("unpack", {"words": np.zeros(5_000_000, np.int32)}),
}


def _memory_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _memory(shop, **changes)


for _name, (_says, _changes) in MEMORIES.items():
    mistake(_name, "memory.npz", _says)(_memory_case(_changes))


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
