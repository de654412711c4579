"""Run directories that cannot be used."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.encoders import lambda_model
from tests.mistakes.features import Payload

IMAGE = "data/images/red_ball.png"


def _caption(shop: Workshop, run: Path) -> list[str]:
    return ["caption", str(run), str(shop.toy.root / IMAGE)]


def _without(shop: Workshop, name: str) -> list[str]:
    run = shop.run()
    (run / name).unlink()
    return _caption(shop, run)


def _with(shop: Workshop, name: str, content: str | bytes) -> list[str]:
    run = shop.run()
    (run / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return _caption(shop, run)


def _cut(shop: Workshop, name: str) -> list[str]:
    content = (shop.toy.run / name).read_bytes()
    return _with(shop, name, content[: len(content) * 2 // 3])


def _replaced(shop: Workshop, name: str, old: str, new: str) -> list[str]:
    text = (shop.toy.run / name).read_text()
    assert old in text
    return _with(shop, name, text.replace(old, new))


@mistake("no such run", "capsmith train")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, shop / "gone")


@mistake("a run that is a file", "capsmith train")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, shop.write("run", "x"))


@mistake("a folder that is no run", "config.yaml")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.data())]  # `caption` captions the images of such a folder with the starter


@mistake("a run without its vocabulary", "incomplete", "vocabulary.json")
def _(shop: Workshop) -> list[str]:
    return _without(shop, "vocabulary.json")


@mistake("a checkpoint with another vocabulary", "vocabulary.json")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "vocabulary.json", '"ball"', '"bell"')


@mistake("a vocabulary that is no JSON", "vocabulary.json", "JSON")
def _(shop: Workshop) -> list[str]:
    return _cut(shop, "vocabulary.json")


@mistake("a vocabulary nested 100,000 deep", "vocabulary.json", "JSON")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "vocabulary.json", "[" * 100_000)


@mistake("a vocabulary without its specials", "vocabulary.json", "capsmith vocabulary")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "vocabulary.json", "<start>", "<begin>")


@mistake("a vocabulary with a count too large", "vocabulary.json")
def _(shop: Workshop) -> list[str]:
    vocabulary = json.loads((shop.toy.run / "vocabulary.json").read_text())
    vocabulary["counts"][5] = 10**400
    return _with(shop, "vocabulary.json", json.dumps(vocabulary))


@mistake("a run without captioner.json", "incomplete", "captioner.json")
def _(shop: Workshop) -> list[str]:
    return _without(shop, "captioner.json")


@mistake("captioner.json of another format", "captioner.json")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "captioner.json", '{"format": 99}')


@mistake("captioner.json with a damaged shape", "captioner.json", "feature_shape")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "captioner.json", "256", '"many"')


@mistake("captioner.json with a shape beyond memory", "captioner.json", "feature_shape")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "captioner.json", "256", "999999999999")


@mistake("captioner.json with another encoder's shape", "captioner.json", "256")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "captioner.json", "256", "255")


@mistake("a run without weights", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _without(shop, "model.weights.h5")


@mistake("truncated weights", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _cut(shop, "model.weights.h5")


@mistake("weights that are text", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "model.weights.h5", "weights " * 99)


@mistake("weights that are a pickle", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "model.weights.h5", pickle.dumps(Payload(shop.sentinel)))


@mistake("weights of other sizes", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "config.yaml", "units: 16", "units: 24")


@mistake("weights of fewer layers, which Keras would leave random", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "config.yaml", "layers: 1", "layers: 2")


@mistake("weights that are not numbers", "model.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    run = shop.run()

    def spoil(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.size:
            item[(0,) * item.ndim] = np.nan

    with h5py.File(run / "model.weights.h5", "r+") as file:
        file.visititems(spoil)
    return _caption(shop, run)


@mistake("weights of the encoder", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "model.weights.h5", (shop.toy.run / "encoder.weights.h5").read_bytes())


@mistake("weights that are a folder", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "model.weights.h5").unlink()
    (run / "model.weights.h5").mkdir()
    return _caption(shop, run)


@mistake("a run without encoder.json", "encoder.json", "No such file")
def _(shop: Workshop) -> list[str]:
    return _without(shop, "encoder.json")


@mistake("encoder.json that is damaged", "encoder.json", "damaged")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "encoder.json", '{"fingerprint": 3}')


@mistake("encoder.json of another encoder", "tf", "unit")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "config.yaml", "preprocess: null", "preprocess: unit")


@mistake("a run without encoder weights", "encoder.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _without(shop, "encoder.weights.h5")


@mistake("truncated encoder weights", "encoder.weights.h5", "damaged")
def _(shop: Workshop) -> list[str]:
    return _cut(shop, "encoder.weights.h5")


@mistake("encoder weights of other sizes", "encoder.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "encoder.weights.h5", (shop.toy.run / "model.weights.h5").read_bytes())


@mistake("a run's config that is damaged", "config.yaml", "YAML")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "config.yaml", "data: {type")


@mistake("a run's config with unknown keys", "config.yaml", "decoder.untis")
def _(shop: Workshop) -> list[str]:
    return _replaced(shop, "config.yaml", "units: 16", "untis: 16")


@mistake("a run's config that runs a command", "config.yaml", "python/object/apply")
def _(shop: Workshop) -> list[str]:
    return _with(shop, "config.yaml", f"seed: !!python/object/apply:os.system ['touch {shop.sentinel}']\n")


@mistake("a run whose encoder holds a Lambda layer", "encoder.keras", "Lambda")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    lambda_model(run / "encoder.keras", shop.sentinel)
    note = json.loads((run / "encoder.json").read_text())
    note["fingerprint"] |= {"type": "custom", "size": [16, 16], "preprocess": "none"}
    (run / "encoder.json").write_text(json.dumps(note))
    old = (run / "config.yaml").read_text()
    new = old.replace("type: small_cnn", "type: custom").replace("weights: none", "weights: mine.keras")
    (run / "config.yaml").write_text(new.replace("image_size: 32", "image_size: 16"))
    return _caption(shop, run)


@mistake("a misspelt search", "decoding.type", "'bean'", "did you mean 'beam'?")
def _(shop: Workshop) -> list[str]:
    return [*_caption(shop, shop.toy.run), "--set", "decoding.type=bean"]


@mistake("a seed below zero to sample with", "decoding.seed", "greater than or equal to 0")
def _(shop: Workshop) -> list[str]:
    return [*_caption(shop, shop.toy.run), "--set", "decoding.type=sample", "--set", "decoding.seed=-1"]


@mistake("a decoder that the run was not trained with", "decoder")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--set", "decoder.units=24"]


def _resume(shop: Workshop, run: Path, *more: str) -> list[str]:
    shop.sections["features"]["cache"] = str(shop.toy.cache)
    return ["train", "--config", shop.config(), "--run", str(run), "--resume", *more]


@mistake("an existing run without --resume", "--resume")
def _(shop: Workshop) -> list[str]:
    return _resume(shop, shop.run())[:-1]


@mistake("a run to go on with that had another decoder", "decoder.units", "--run")
def _(shop: Workshop) -> list[str]:
    return _resume(shop, shop.run(), "--set", "decoder.units=24")


@mistake("a damaged training state", "state.npz", "damaged", may_change=("versions.json",))
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "state.npz").write_bytes((run / "state.npz").read_bytes()[:50_000])
    return _resume(shop, run)


@mistake("a training state with a pickle", "state.npz", "damaged", may_change=("versions.json",))
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    with np.load(run / "state.npz") as saved:
        arrays = dict(saved)
    np.savez(run / "state.npz", **{**arrays, "v0": np.array([Payload(shop.sentinel)], dtype=object)})
    return _resume(shop, run)


@mistake("a training state without its progress", "state.npz", "damaged", may_change=("versions.json",))
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    with np.load(run / "state.npz") as saved:
        arrays = dict(saved)
    np.savez(run / "state.npz", **{**arrays, "progress": np.frombuffer(b'{"rows": 5}', np.uint8)})
    return _resume(shop, run)


@mistake("a training state of another model", "state.npz", may_change=("versions.json",))
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    with np.load(run / "state.npz") as saved:
        arrays = dict(saved)
    np.savez(run / "state.npz", **{**arrays, "v0": np.zeros((3, 3))})
    return _resume(shop, run)
