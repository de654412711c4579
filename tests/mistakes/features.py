"""Feature stores, and extraction that was interrupted."""

import io
import json
import os
import pickle
from pathlib import Path

import numpy as np

from tests.mistakes import Workshop, mistake


class Payload:
    """Creates the sentinel when a pickle or a YAML tag is executed."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch '{self.sentinel}'",)


def _extract(shop: Workshop, **changes) -> list[str]:
    return ["extract", "--config", shop.config(**changes)]


def _edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@mistake("features of another encoder", "preprocess", "tf", "unit")
def _(shop: Workshop) -> list[str]:
    shop.store()
    return _extract(shop, encoder={"preprocess": "unit"})


@mistake("features of another encoder, to evaluate on", "caffe", "tf")
def _(shop: Workshop) -> list[str]:
    store = shop.store()
    manifest = json.loads((store / "manifest.json").read_text())
    _edit(store / "manifest.json", fingerprint={**manifest["fingerprint"], "preprocess": "caffe"})
    return ["evaluate", str(shop.run()), "--set", f"features.store={store}"]


@mistake("an encoder that the run was not trained with", "encoder")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--set", "encoder.preprocess=unit", "--set", f"features.cache={shop / 'c'}"]


@mistake("a store that is a file", "features.store", "damaged")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, features={"store": str(shop.write("store", "x"))})


@mistake("a cache below a file", "file/cache", "Not a directory")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "x")
    return _extract(shop, features={"cache": str(shop / "file" / "cache")})


@mistake("a manifest that is no JSON", "manifest.json", "JSON")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "manifest.json").write_text('{"fingerprint": {')
    return _extract(shop)


@mistake("a manifest that lacks keys", "manifest.json", "damaged")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "manifest.json").write_text("{}")
    return _extract(shop)


@mistake("a manifest that is a list", "manifest.json", "damaged")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "manifest.json").write_text("[1, 2]")
    return _extract(shop)


@mistake("a manifest with wrong sizes", "manifest.json", "damaged")
def _(shop: Workshop) -> list[str]:
    _edit(shop.store() / "manifest.json", sizes=["many"] * 12)
    return _extract(shop)


@mistake("a manifest with ids that are lists", "manifest.json", "damaged")
def _(shop: Workshop) -> list[str]:
    _edit(shop.store() / "manifest.json", ids=[["x"]] * 12)
    return _extract(shop)


@mistake("a manifest with a shape beyond memory", "features.pkl")
def _(shop: Workshop) -> list[str]:
    _edit(shop.store() / "manifest.json", shape=[10**13])
    return _extract(shop)


@mistake("a manifest with damaged notes", "manifest.json", "damaged")
def _(shop: Workshop) -> list[str]:
    _edit(shop.store() / "manifest.json", broken={"red_ball.png": 3})
    return _extract(shop)


@mistake("a hostile pickle", "features.pkl", "refused", "posix.system")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "features.pkl").write_bytes(pickle.dumps({"red_ball.png": Payload(shop.sentinel)}))
    return _extract(shop)


@mistake("a hostile pickle, when a run is evaluated", "features.pkl", "refused", "posix.system")
def _(shop: Workshop) -> list[str]:
    store = shop.store()
    (store / "features.pkl").write_bytes(pickle.dumps(Payload(shop.sentinel)))
    return ["evaluate", str(shop.run()), "--set", f"features.store={store}"]


@mistake("a hostile pickle of protocol 0", "features.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "features.pkl").write_bytes(pickle.dumps(Payload(shop.sentinel), protocol=0))
    return _extract(shop)


@mistake("a pickle within a pickle", "features.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    inner = pickle.dumps(Payload(shop.sentinel), protocol=2)

    class Wrapped:
        def __reduce__(self):
            return pickle.loads, (inner,)

    (shop.store() / "features.pkl").write_bytes(pickle.dumps(Wrapped(), protocol=2))
    return _extract(shop)


@mistake("a truncated pickle", "features.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    path = shop.store() / "features.pkl"
    path.write_bytes(path.read_bytes()[:5000])
    return _extract(shop)


@mistake("a pickle of vectors of another size", "features.pkl")
def _(shop: Workshop) -> list[str]:
    store = shop.store()
    ids = json.loads((store / "manifest.json").read_text())["ids"]
    (store / "features.pkl").write_bytes(pickle.dumps({name: np.zeros(3, "float32") for name in ids}))
    return _extract(shop)


@mistake("a missing pickle", "features.pkl", "No such file")
def _(shop: Workshop) -> list[str]:
    (shop.store() / "features.pkl").unlink()
    return _extract(shop)


def _grid(shop: Workshop, content: bytes) -> list[str]:
    """Writes a complete store of grids with the given array content."""
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.fingerprint import encoder_fingerprint

    store = shop.store()
    changed = EncoderConfig(type="small_cnn", image_size=32, output="grid")
    _edit(store / "manifest.json", shape=[4, 128], dtype="float16", fingerprint=encoder_fingerprint(changed))
    (store / "features.npy").write_bytes(content)
    return _extract(shop, encoder={"output": "grid"})


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@mistake("a truncated array", "features.npy", "damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 128), "float16"))[:6000])


@mistake("an array of another shape", "features.npy")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.zeros((12, 4, 64), "float16")))


@mistake("an array of pickled objects", "features.npy")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, _npy(np.array([Payload(shop.sentinel)], dtype=object)))


@mistake("an array that is text", "features.npy", "damaged")
def _(shop: Workshop) -> list[str]:
    return _grid(shop, b"not an array\n" * 20)


def _journal(shop: Workshop, *lines: str) -> list[str]:
    """Writes an unfinished store with the given journal."""
    store = shop.store()
    (store / "manifest.json").unlink()
    (store / "journal.jsonl").write_text("".join(line + "\n" for line in lines))
    return _extract(shop)


@mistake("a journal without its head", "journal.jsonl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _journal(shop, '{"rows": [0]}')


@mistake("a journal with a damaged line", "journal.jsonl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _journal(shop, _head(shop), '{"rows": ["x"], "ids": ["a"], "sizes": [1], "broken": {}}')


@mistake("a journal with a row beyond memory", "journal.jsonl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _journal(shop, _head(shop), '{"rows": [99999999999999], "ids": ["a"], "sizes": [1], "broken": {}}')


@mistake("a journal whose rows are gone", "rows.part.npy", "truncated")
def _(shop: Workshop) -> list[str]:
    arguments = _journal(shop, _head(shop), '{"rows": [0], "ids": ["red_ball.png"], "sizes": [205], "broken": {}}')
    (shop / "store" / "rows.part.npy").write_bytes(b"\x93NUMPY")
    return arguments


def _head(shop: Workshop) -> str:
    manifest = json.loads((shop.toy.store / "manifest.json").read_text())
    return json.dumps({key: manifest[key] for key in ("fingerprint", "shape", "dtype")})
