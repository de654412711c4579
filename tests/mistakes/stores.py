"""Feature stores that are damaged or forged: manifests, journals, and the numbers themselves."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.features import _extract, _grid, _head, _journal, _npy
from tests.mistakes.special import DEEP, pipe

# --- manifests --------------------------------------------------------------------------------------------------------

MANIFESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a manifest with an infinite size": ("Infinity", {"sizes": [float("inf")] * 12}),
    "a manifest with a size of 10^19": ("too large", {"sizes": [10**19] * 12}),
    "a manifest whose sizes are texts": ("sizes.0", {"sizes": ["205"] * 12}),
    "a manifest whose sizes are true": ("sizes.0", {"sizes": [True] * 12}),
    "a manifest with a size below zero": ("sizes.0", {"sizes": [-5] * 12}),
    "a manifest with fewer sizes than ids": ("ids", {"sizes": [205] * 11}),
    "a manifest whose shape is of texts": ("shape.0", {"shape": ["256"]}),
    "a manifest whose shape is zero": ("shape.0", {"shape": [0]}),
    "a manifest whose shape has four axes": ("shape", {"shape": [2, 2, 2, 2]}),
    "a manifest with a type of pickles": ("dtype", {"dtype": "object"}),
    "a manifest with a struct type": ("dtype", {"dtype": [["a", "<f4"]]}),
    "a manifest in which an image stands twice": ("ids", {"ids": ["red_ball.png"] * 12}),
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
    mistake(_name, "manifest.json", _says)(_manifest_case(_changes))


@mistake("a manifest nested 100,000 deep", "manifest.json", "JSON")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "manifest.json").write_text(DEEP)
    return _extract(shop)


@mistake("a manifest with a key twice", "manifest.json", "'shape'", "JSON")
def _(shop: Workshop) -> list[str]:
    path = shop.store() / "manifest.json"
    path.write_text(path.read_text().replace('"shape"', '"shape": [3], "shape"', 1))
    return _extract(shop)


@mistake("a manifest that is a pipe", "manifest.json", "pipe")
def _(shop: Workshop) -> list[str]:
    pipe(shop.store() / "manifest.json")
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
    "a journal with a row without an image": ("image", {"rows": [0, 1]}),
    "a journal whose notes are a list": ("broken", {"broken": ["red_ball.png"]}),
}


def _journal_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _journal(shop, _head(shop), _line(**changes))


for _name, (_says, _changes) in JOURNALS.items():
    mistake(_name, "journal.jsonl", "line 2", "damaged", _says)(_journal_case(_changes))


def _head_case(shop: Workshop, **changes: Any) -> list[str]:
    return _journal(shop, json.dumps({**json.loads(_head(shop)), **changes}))


@mistake("a journal of a struct type", "journal.jsonl", "line 1", "dtype", "damaged")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, dtype=[["a", "<f4"], ["b", "<i8"]])


@mistake("a journal of datetimes", "journal.jsonl", "line 1", "dtype", "damaged")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, dtype="M8[s]")


@mistake("a journal of an infinite shape", "journal.jsonl", "line 1", "Infinity", "damaged")
def _(shop: Workshop) -> list[str]:
    return _head_case(shop, shape=[float("inf")])


@mistake("a journal of another store than its manifest", "journal.jsonl", "damaged")
def _(shop: Workshop) -> list[str]:
    head = json.loads(_head(shop))
    (shop.store() / "journal.jsonl").write_text(json.dumps({**head, "shape": [3]}) + "\n")
    return _extract(shop)


@mistake("a journal that is a pipe", "journal.jsonl", "pipe")
def _(shop: Workshop) -> list[str]:
    store = shop.store()
    (store / "manifest.json").unlink()
    pipe(store / "journal.jsonl")
    return _extract(shop)


# --- the features themselves ------------------------------------------------------------------------------------------


def _vectors(shop: Workshop, value: float, kind: str) -> list[str]:
    path = shop.store() / "features.pkl"
    result = pickle.loads(path.read_bytes())
    result = {name: vector.astype(kind) for name, vector in result.items()}
    result["red_ball.png"][3] = value
    path.write_bytes(pickle.dumps(result))
    return _extract(shop)


@mistake("pooled features with NaN", "features.pkl", "red_ball.png", "damaged")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, np.nan, "float32")


@mistake("pooled features beyond float32", "features.pkl", "red_ball.png", "damaged")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, 1e300, "float64")


@mistake("pooled features that are a pipe", "features.pkl", "pipe")
def _(shop: Workshop) -> list[str]:
    pipe(shop.store() / "features.pkl")
    return _extract(shop)


@mistake("a grid in Fortran order", "features.npy", "Fortran")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.asfortranarray(np.zeros((12, 4, 128), "float16"))))


@mistake("a grid of a struct type", "features.npy", "damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 128), [("a", "<f2")])))


@mistake("a grid whose header promises 10^14 rows", "features.npy", "damaged")
def _(shop: Workshop) -> list[str]:
    content = _npy(np.zeros((12, 4, 128), "float16"))
    head, rest = content[:128].replace(b"(12, 4, 128)", b"(%d, 4, 128)" % 10**14), content[128:]
    return _grid(shop, head[: 127 - (len(head) - 128)] + b"\n" + rest)


@mistake("a grid with a size below zero", "features.npy", "damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 128), "float16")).replace(b"(12, 4, 128)", b"(-2, 4, 128)"))
