"""What capsmith wrote itself, damaged or forged: manifests, journals, stores, training state, histories, memories."""

import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mistakes import Workshop, mistake
from mistakes.checkpoints import _caption, _resume, _with
from mistakes.features import _edit, _extract, _grid, _head, _journal, _npy

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
VERSIONS = {"may_change": ("versions.json",)}


# --- manifests --------------------------------------------------------------------------------------------------------

MANIFESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a manifest with an infinite size": ("Infinity", {"sizes": [float("inf")] * 12}),
    "a manifest with a size of 10^19": ("too large", {"sizes": [10**19] * 12}),
    "a manifest whose sizes are texts": ("sizes.0", {"sizes": ["205"] * 12}),
    "a manifest whose sizes are true": ("sizes.0", {"sizes": [True] * 12}),
    "a manifest with a size below zero": ("sizes.0", {"sizes": [-5] * 12}),
    "a manifest with fewer sizes than ids": ("ids and sizes", {"sizes": [205] * 11}),
    "a manifest whose shape is of texts": ("shape.0", {"shape": ["256"]}),
    "a manifest whose shape is zero": ("shape.0", {"shape": [0]}),
    "a manifest whose shape has four axes": ("shape", {"shape": [2, 2, 2, 2]}),
    "a manifest with a type of pickles": ("dtype", {"dtype": "object"}),
    "a manifest with a struct type": ("dtype", {"dtype": [["a", "<f4"]]}),
    "a manifest in which a picture stands twice": ("ids and sizes", {"ids": ["red_ball.png"] * 12}),
    "a manifest with half of a surrogate pair": ("surrogate", {"ids": ["\ud83d"] * 12}),
    "a manifest of a precision that is none": ("precision", {"precision": "float8"}),
    "a manifest with a reason that is a number": ("broken.x.reason", {"broken": {"x": {"reason": 3, "size": 1}}}),
    "a manifest with a number of 5,000 digits": ("too large", {"more": 10**5000}),
}


def _manifest_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    def prepare(shop: Workshop) -> list[str]:
        path = shop.store() / "manifest.json"
        content = {**json.loads(path.read_text()), **changes}
        if "more" in changes:
            content["more"] = "DIGITS"
        path.write_text(json.dumps(content).replace('"DIGITS"', "1" * 5000))
        return _extract(shop)

    return prepare


for _name, (_says, _changes) in MANIFESTS.items():
    mistake(_name, "manifest.json is", _says)(_manifest_case(_changes))


@mistake("a manifest nested 100,000 deep", "manifest.json is not valid JSON", "nested more than")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "manifest.json").write_text(DEEP)
    return _extract(shop)


@mistake("a manifest with a key twice", "manifest.json is not valid JSON", "'shape' stands twice")
def _(shop: Workshop) -> list[str]:
    path = shop.store() / "manifest.json"
    path.write_text(path.read_text().replace('"shape"', '"shape": [3], "shape"', 1))
    return _extract(shop)


@mistake("a manifest that is a pipe", "manifest.json", "it is a pipe, not a file")
def _(shop: Workshop) -> list[str]:
    _pipe(shop.store() / "manifest.json")
    return _extract(shop)


# --- journals ---------------------------------------------------------------------------------------------------------


def _line(**changes: Any) -> str:
    return json.dumps({"rows": [0], "ids": ["red_ball.png"], "sizes": [205], "broken": {}, **changes})


JOURNALS: dict[str, tuple[str, dict[str, Any]]] = {
    "a journal with an infinite row": ("Infinity", {"rows": [float("inf")]}),
    "a journal with a row of 10^19": ("too large", {"rows": [10**19]}),
    "a journal with a row below zero": ("rows.0", {"rows": [-1]}),
    "a journal whose rows are true": ("rows.0", {"rows": [True]}),
    "a journal whose sizes are texts": ("sizes.0", {"sizes": ["205"]}),
    "a journal with a row without a picture": ("one for each picture", {"rows": [0, 1]}),
    "a journal whose notes are a list": ("broken", {"broken": ["red_ball.png"]}),
}


def _journal_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _journal(shop, _head(shop), _line(**changes))


for _name, (_says, _changes) in JOURNALS.items():
    mistake(_name, "journal.jsonl is damaged in line 2", _says, "extract again")(_journal_case(_changes))


def _head_case(shop: Workshop, **changes: Any) -> list[str]:
    return _journal(shop, json.dumps({**json.loads(_head(shop)), **changes}))


@mistake("a journal of a struct type", "journal.jsonl is damaged in line 1", "dtype")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, dtype=[["a", "<f4"], ["b", "<i8"]])


@mistake("a journal of datetimes", "journal.jsonl is damaged in line 1", "dtype")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, dtype="M8[s]")


@mistake("a journal of an infinite shape", "journal.jsonl is damaged in line 1", "Infinity")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, shape=[float("inf")])


@mistake("a journal of another store than its manifest", "journal.jsonl is damaged", "another store")
def _(shop: Workshop) -> list[str]:
    head = json.loads(_head(shop))
    (shop.store() / "journal.jsonl").write_text(json.dumps({**head, "shape": [3]}) + "\n")
    return _extract(shop)


@mistake("a journal that is a pipe", "journal.jsonl", "it is a pipe, not a file")
def _(shop: Workshop) -> list[str]:
    store = shop.store()
    (store / "manifest.json").unlink()
    _pipe(store / "journal.jsonl")
    return _extract(shop)


# --- the features themselves ------------------------------------------------------------------------------------------


def _vectors(shop: Workshop, value: float, kind: str) -> list[str]:
    path = shop.store() / "features.pkl"
    found = pickle.loads(path.read_bytes())
    found = {name: vector.astype(kind) for name, vector in found.items()}
    found["red_ball.png"][3] = value
    path.write_bytes(pickle.dumps(found))
    return _extract(shop)


@mistake("pooled features with NaN", "features.pkl is damaged", "no numbers, of red_ball.png", "extract again")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, np.nan, "float32")


@mistake("pooled features beyond float32", "features.pkl is damaged", "no numbers, of red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, 1e300, "float64")


@mistake("pooled features that are a pipe", "features.pkl", "it is a pipe, not a file")
def _(shop: Workshop) -> list[str]:
    _pipe(shop.store() / "features.pkl")
    return _extract(shop)


@mistake("a grid in Fortran order", "features.npy is in Fortran order", "make it again")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.asfortranarray(np.zeros((12, 4, 128), "float16"))))


@mistake("a grid of a struct type", "features.npy is truncated or damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 128), [("a", "<f2")])))


@mistake("a grid whose header promises 10^14 rows", "features.npy is truncated or damaged")
def _(shop: Workshop) -> list[str]:
    content = _npy(np.zeros((12, 4, 128), "float16"))
    head, rest = content[:128].replace(b"(12, 4, 128)", b"(%d, 4, 128)" % 10**14), content[128:]
    return _grid(shop, head[: 127 - (len(head) - 128)] + b"\n" + rest)


@mistake("a grid with a size below zero", "features.npy is truncated or damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 128), "float16")).replace(b"(12, 4, 128)", b"(-2, 4, 128)"))


# --- training state ---------------------------------------------------------------------------------------------------


def _state(shop: Workshop, **changes: Any) -> list[str]:
    """Goes on with a run whose state has other arrays."""
    run = shop.run()
    with np.load(run / "state.npz") as saved:
        arrays = dict(saved)
    np.savez(run / "state.npz", **{**arrays, **changes})
    return _resume(shop, run)


def _progress(shop: Workshop, **changes: Any) -> list[str]:
    """Goes on with a run whose state has come elsewhere."""
    with np.load(shop.toy.run / "state.npz") as saved:
        progress = {**json.loads(saved["progress"].tobytes()), **changes}
    return _state(shop, progress=_text(json.dumps(progress)))


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _first(shop: Workshop) -> np.ndarray:
    with np.load(shop.toy.run / "state.npz") as saved:
        return saved["v0"]


def _rows(shop: Workshop, **changes: Any) -> list[dict[str, Any]]:
    with np.load(shop.toy.run / "state.npz") as saved:
        return [{**row, **changes} for row in json.loads(saved["progress"].tobytes())["rows"]]


@mistake("a training state of text weights", "state.npz is damaged", "not numbers", "remove it", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=_first(shop).astype("U32"))


@mistake("a training state of complex weights", "state.npz is damaged", "complex", "remove it", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=_first(shop).astype("complex64"))


@mistake("a training state of dates", "state.npz is damaged", "datetime64", "remove it", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.zeros(_first(shop).shape, "M8[s]"))


@mistake("a training state of whole weights", "state.npz is damaged", "floating-point", "remove it", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.ones(_first(shop).shape, "int64"))


@mistake("a training state of a struct type", "state.npz is damaged", "not numbers", "remove it", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.zeros(_first(shop).shape, [("a", "<f4"), ("b", "<i4")]))


@mistake("a training state with NaN", "state.npz is damaged", "'v0' holds values that are no numbers", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.full_like(_first(shop), np.nan))


@mistake("a training state with a surplus array", "state.npz is damaged", "'more'", "not of such a file", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, more=np.zeros(3))


@mistake("a training state whose progress is of fractions", "state.npz is damaged", "'progress'", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, progress=np.zeros(9))


@mistake("a training state nested 100,000 deep", "state.npz is damaged", "nested more than", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, progress=_text(DEEP))


PASS = {"epoch": 1, "step": 0, "loss": 1.0, "words": 3, "rate": 0.1, "seconds": 1.0}
PROGRESSES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a training state at a step of 0.5": (("within an epoch", "step"), {"pass": {**PASS, "step": 0.5}}),
    "a training state at a step beyond its epoch": (("batch 99 of epoch 2",), {"pass": {**PASS, "step": 99}}),
    "a training state in an epoch that is done": (("batch 0 of epoch 1",), {"pass": {**PASS, "epoch": 0}}),
    "a training state with a pass that knows more": (("within an epoch", "more"), {"pass": {**PASS, "more": 1}}),
    "a training state with rewards that are texts": (("rewards.0",), {"pass": {**PASS, "rewards": ["1"]}}),
    "a training state whose scale is no number": (("NaN",), {"scale": float("nan")}),
    "a training state whose scale is below zero": (("damaged history", "scale"), {"scale": -1}),
    "a training state of another metric": (("damaged history", "dev_spice"), {"metric": "spice"}),
    "a training state whose rows are no list": (("damaged history", "rows"), {"rows": {"epoch": 1}}),
}


def _progress_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _progress(shop, **changes)


for _name, (_all, _changes) in PROGRESSES.items():
    mistake(_name, "state.npz", *_all, "remove it", **VERSIONS)(_progress_case(_changes))


@mistake("a training state whose losses are texts", "state.npz has a damaged history", "rows.0.loss", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, loss="3.5"))


@mistake("a training state with epochs out of order", "state.npz has a damaged history", "epoch 1", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, epoch=7))


@mistake("a training state that decides by a metric with no rows", "state.npz is damaged", "'spice'", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, dev_spice=0.1), metric="spice")


def _repacked(shop: Workshop, change: Callable[[zipfile.ZipFile], None], **more: Any) -> list[str]:
    """Goes on with a run whose state is packed in another way."""
    run = shop.run()
    with zipfile.ZipFile(shop.toy.run / "state.npz") as old, zipfile.ZipFile(run / "state.npz", "w", **more) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name twice
            change(new)
    return _resume(shop, run)


@mistake("a training state with an array twice", "state.npz is damaged", "'v0.npy' twice", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: archive.writestr("v0.npy", _npy(np.zeros(3))))


@mistake("a training state that unpacks to 40 MB", "state.npz is damaged", "would unpack to", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    zeros = _npy(np.zeros(0)) + bytes(40_000_000)
    return _repacked(shop, lambda archive: archive.writestr("more.npy", zeros), compression=zipfile.ZIP_DEFLATED)


@mistake("a training state packed with lzma", "state.npz is damaged", "packed in an unusual way", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: None, compression=zipfile.ZIP_LZMA)


@mistake("a training state with a note among its arrays", "state.npz is damaged", "which is no array", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: archive.writestr("README", "hello"))


@mistake("a training state whose header promises more", "state.npz is damaged", "its header says", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    small = _npy(np.zeros(10)).replace(b"(10,)", b"(99,)")
    return _repacked(shop, lambda archive: archive.writestr("more.npy", small))


@mistake("a training state of 60,000 arrays", "state.npz is damaged", "list of members is too long", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    def many(archive: zipfile.ZipFile) -> None:
        for number in range(60_000):
            archive.writestr(f"surplus-array-number-{number}.npy", b"")

    return _repacked(shop, many)


@mistake("a training state that is a pipe", "state.npz", "it is a pipe, not a file", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    _pipe(run / "state.npz")
    return _resume(shop, run)


@mistake("a run begun in a precision that is none", "versions.json is damaged", "precision")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    _edit(run / "versions.json", precision="float8")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("precision: float32", "precision: auto"))
    shop.sections["training"]["precision"] = "auto"
    return _resume(shop, run)


# --- histories of members ---------------------------------------------------------------------------------------------


def _member(shop: Workshop, change: Callable[[list[str]], list[str] | bytes]) -> list[str]:
    """Trains an ensemble of which one member's history is damaged."""
    member = shop.run("member")
    lines = (member / "history.csv").read_text().splitlines()
    changed = change(lines)
    content = changed if isinstance(changed, bytes) else ("\n".join(changed) + "\n").encode()
    (member / "history.csv").write_bytes(content)
    shop.sections["ensemble"] = [{"run": str(member), "config": shop.config()}]
    return _resume(shop, shop.run())


def _cell(lines: list[str], place: int, text: str) -> list[str]:
    cells = lines[1].split(",")
    cells[place] = text
    return [lines[0], ",".join(cells)]


HISTORIES: dict[str, tuple[str, Callable[[list[str]], list[str] | bytes]]] = {
    "a member's history of letters": ("line 2: 'abc' in column 'loss'", lambda lines: _cell(lines, 1, "abc")),
    "a member's history that is binary": ("codec", lambda lines: bytes(range(256)) * 9),
    "a member's history with a cell too many": ("line 2 has", lambda lines: [lines[0], lines[1] + ",7"]),
    "a member's history with a cell too few": ("line 2 has", lambda lines: [lines[0], lines[1].rpartition(",")[0]]),
    "a member's history with a blank cell of spaces": ("' ' in", lambda lines: _cell(lines, 1, "   ")),
    "a member's history without its epoch": ("row 1 is not of epoch 1", lambda lines: _cell(lines, 0, "")),
    "a member's history with an infinite loss": ("'inf' in", lambda lines: _cell(lines, 1, "inf")),
    "a member's history with a column twice": ("line 1", lambda lines: [lines[0].replace("loss", "epoch"), lines[1]]),
    "a member's history with a quote that stays open": ("line 2: ", lambda lines: _cell(lines, 1, '"3')),
    "a member's history with epochs out of order": ("row 2 is not of", lambda lines: [*lines, lines[1]]),
}
for _name, (_says, _change) in HISTORIES.items():
    mistake(_name, "member/history.csv is damaged", _says, "copy it again", **VERSIONS)(
        lambda shop, change=_change: _member(shop, change)
    )


# --- memories ---------------------------------------------------------------------------------------------------------


def _memory(shop: Workshop, **changes: Any) -> list[str]:
    """Captions with a run that remembers two pictures, some of whose arrays are others."""
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
    "a memory of words below zero": ("less than 0", {"words": np.array([4, -5, 6])}),
    "a memory of words that the run does not know": ("does not know", {"words": np.array([4, 5, 10**6])}),
    "a memory of words that are dates": ("datetime64", {"words": np.zeros(3, "M8[s]")}),
    "a memory of words that are texts": ("not numbers", {"words": np.array(["a", "ball", "red"])}),
    "a memory of complex numbers": ("complex", {"vectors": np.zeros((2, 4), complex)}),
    "a memory with NaN": ("no numbers", {"vectors": np.full((2, 4), np.nan, np.float16)}),
    "a memory of another encoder's size": ("another encoder", {"mean": np.zeros(255, np.float32)}),
    "a memory whose arrays differ in size": ("'meaning' has the shape", {"meaning": np.zeros((9, 2), np.float32)}),
    "a memory whose directions are fewer": ("directions", {"meaning": np.zeros((256, 1), np.float32)}),
    "a memory of too many axes": ("'words' has the shape", {"words": np.zeros((3, 1), int)}),
    "a memory with lengths that do not add up": ("do not add up", {"lengths": np.array([2**62, 2**62])}),
    "a memory that lacks an array": ("lacks 'groups'", {"groups": None}),
    "a memory with a surplus array": ("'surplus'", {"surplus": np.zeros(3)}),
    "a memory that unpacks to 20 MB": ("would unpack to", {"words": np.zeros(5_000_000, np.int32)}),
}


def _memory_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _memory(shop, **changes)


for _name, (_says, _changes) in MEMORIES.items():
    mistake(_name, "memory.npz is", _says, "delete it, and evaluate")(_memory_case(_changes))


# --- the other files of a run -----------------------------------------------------------------------------------------


def _words(shop: Workshop, **changes: Any) -> list[str]:
    content = json.loads((shop.toy.run / "vocabulary.json").read_text())
    return _with(shop, "vocabulary.json", json.dumps({**content, **{k: v(content[k]) for k, v in changes.items()}}))


@mistake("a vocabulary of halves of surrogate pairs", "vocabulary.json", "half of a surrogate pair")
def _(shop: Workshop) -> list[str]:
    return _words(shop, words=lambda words: [*words[:-1], "\udc80"])


@mistake("a vocabulary with an infinite count", "vocabulary.json", "Infinity is not a number")
def _(shop: Workshop) -> list[str]:
    return _words(shop, counts=lambda counts: [*counts[:-1], float("inf")])


@mistake("a vocabulary with its words twice", "vocabulary.json", "the key 'words' stands twice")
def _(shop: Workshop) -> list[str]:
    text = (shop.toy.run / "vocabulary.json").read_text()
    return _with(shop, "vocabulary.json", text.replace('"words"', '"words": ["dog"], "words"', 1))


@mistake("captioner.json with a shape beyond 64 bits", "captioner.json", "too large a number")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "captioner.json", '{"format": 1, "feature_shape": [' + "9" * 5000 + "]}")


@mistake("encoder.json nested 100,000 deep", "encoder.json", "nested more than")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "encoder.json", DEEP)


def _spoilt(shop: Workshop, name: str, change: Callable[[h5py.File], None]) -> list[str]:
    run = shop.run()
    with h5py.File(run / name, "r+") as file:
        change(file)
    return _caption(shop, run)


def _datasets(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim else None)
    return found


@mistake("weights with a link to another file", "model.weights.h5 is damaged")
def _(shop: Workshop) -> list[str]:
    shop.write("other.h5", (shop.toy.run / "model.weights.h5").read_bytes())
    return _spoilt(
        shop, "model.weights.h5", lambda file: file.__setitem__("more", h5py.ExternalLink(shop / "other.h5", "/"))
    )


@mistake("weights with a link that leads nowhere", "model.weights.h5 is damaged")
def _(shop: Workshop) -> list[str]:
    return _spoilt(shop, "model.weights.h5", lambda file: file.__setitem__("more", h5py.SoftLink("/nowhere")))


def _replace(file: h5py.File, make: Callable[[h5py.Group, str, h5py.Dataset], None]) -> None:
    old = _datasets(file)[0]
    parent, name = old.parent, old.name.rpartition("/")[2]
    shape = old[()]
    del parent[name]
    make(parent, name, shape)


@mistake("weights that lie in another file", "model.weights.h5 is damaged")
def _(shop: Workshop) -> list[str]:
    where = [(os.fsencode(shop.write("numbers", bytes(10**6))), 0, h5py.h5f.UNLIMITED)]
    return _spoilt(
        shop,
        "model.weights.h5",
        lambda file: _replace(file, lambda p, n, old: p.create_dataset(n, old.shape, "f4", external=where)),
    )


@mistake("weights that are texts within HDF5", "model.weights.h5 is damaged")
def _(shop: Workshop) -> list[str]:
    return _spoilt(
        shop,
        "model.weights.h5",
        lambda file: _replace(file, lambda p, n, old: p.create_dataset(n, data=old.astype("S9"))),
    )


@mistake("encoder weights that are not numbers", "encoder.weights.h5 are damaged", "no numbers")
def _(shop: Workshop) -> list[str]:
    def spoil(file: h5py.File) -> None:
        _datasets(file)[0][0] = np.nan

    return _spoilt(shop, "encoder.weights.h5", spoil)


@mistake("weights that are a pipe", "model.weights.h5", "it is a pipe, not a file")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    _pipe(run / "model.weights.h5")
    return _caption(shop, run)


@mistake("encoder.json that is a device", "encoder.json", "it is a device, not a file")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    _device(run / "encoder.json")
    return _caption(shop, run)


def _pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def _device(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    return path
