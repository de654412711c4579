"""Pickles of features from elsewhere, and the summary and diagram of a run."""

import gzip
import json
import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.features import Payload

SIZE = 256  # channels of the toy's features


def _ids(shop: Workshop) -> list[str]:
    return sorted(path.name for path in (shop.toy.data / "images").iterdir())


def _vectors(shop: Workshop, size: int = SIZE) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {image: rng.random(size, "float32") for image in _ids(shop)}


def _train(shop: Workshop, content: bytes | None, name: str = "old.pkl", **changes) -> list[str]:
    """Trains from a pickle with this content."""
    if content is not None:
        shop.write(name, content)
    config = shop.config(features={"store": str(shop / name)}, **changes)
    return ["train", "--config", config, "--run", str(shop / "run")]


def _given(shop: Workshop, value: object, protocol: int = 4, **changes) -> list[str]:
    return _train(shop, pickle.dumps(value, protocol), **changes)


def _one_wrong(shop: Workshop, value: object) -> list[str]:
    return _given(shop, {**_vectors(shop), "red_ball.png": value})


# --- the file ---------------------------------------------------------------------------------------------------------


@mistake("a pickle of features that is not there", "features.store", "old.pkl", "No such file")
def _(shop: Workshop) -> list[str]:
    return _train(shop, None)


@mistake("an empty pickle of features", "old.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _train(shop, b"")


@mistake("a pickle of features that ends early", "old.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    content = pickle.dumps(_vectors(shop))
    return _train(shop, content[: len(content) // 2])


@mistake("a named pipe for a pickle of features", "old.pkl")
def _(shop: Workshop) -> list[str]:
    os.mkfifo(shop / "old.pkl")
    return _train(shop, None)


@mistake("a device for a pickle of features", "old.pkl")
def _(shop: Workshop) -> list[str]:
    (shop / "old.pkl").symlink_to("/dev/zero")
    return _train(shop, None)


@mistake("a link to itself for a pickle of features", "old.pkl")
def _(shop: Workshop) -> list[str]:
    (shop / "old.pkl").symlink_to(shop / "old.pkl")
    return _train(shop, None)


@mistake("a compressed pickle of features", "old.pkl", "compressed")
def _(shop: Workshop) -> list[str]:
    return _train(shop, gzip.compress(pickle.dumps(_vectors(shop))))


@mistake("an .npz for a pickle of features", "old.npz")
def _(shop: Workshop) -> list[str]:
    with (shop / "old.npz").open("wb") as file:
        np.savez(file, **_vectors(shop))
    return _train(shop, None, "old.npz")


@mistake("an .npy for a pickle of features", "old.npy")
def _(shop: Workshop) -> list[str]:
    np.save(shop / "old.npy", np.zeros((12, SIZE), "float32"))
    return _train(shop, None, "old.npy")


@mistake("text for a pickle of features", "old.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _train(shop, b"image,feature\nred_ball.png,0.5\n")


# --- its instructions -------------------------------------------------------------------------------------------------


@mistake("a pickle of features that runs a command", "old.pkl", "refused", "posix.system")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, Payload(shop.sentinel))


@mistake("a pickle of features whose key runs a command", "old.pkl", "refused", "posix.system")
def _(shop: Workshop) -> list[str]:
    content = pickle.dumps(Payload(shop.sentinel), 2)[2:-1]
    return _train(shop, b"\x80\x02}" + content + b"K\x01s.")


@mistake("a pickle of features in a defaultdict", "old.pkl", "refused", "collections.defaultdict")
def _(shop: Workshop) -> list[str]:
    return _given(shop, defaultdict(list, _vectors(shop)))


@mistake("a pickle of features with paths for keys", "old.pkl", "refused", "pathlib")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {Path(image): array for image, array in _vectors(shop).items()})


@mistake("a pickle of features with arrays of objects", "old.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.array([1.0, "x"], object))


@mistake("a pickle of features with arrays of fields", "old.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.zeros(SIZE, [("a", "f4"), ("b", "f4")]))


@mistake("a pickle of features with arrays of text", "old.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.array(["0.5"] * SIZE))


@mistake("a pickle of features with dates", "old.pkl", "refused")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.zeros(SIZE, "datetime64[s]"))


@mistake("a pickle of features that copies the same bytes for ever", "old.pkl")
def _(shop: Workshop) -> list[str]:
    text = b"X" + (10**6).to_bytes(4, "little") + b"a" * 10**6 + b"q\x000"
    return _train(shop, b"\x80\x02" + text + b"](" + b"c_codecs\nencode\nh\x00U\x06latin1\x86R" * 1000 + b"e.")


@mistake("a pickle of features with a string of a terabyte", "old.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _train(shop, b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"abc.")


@mistake("a pickle of features nested 100,000 deep", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _train(shop, b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".")


@mistake("a pickle of features from extension codes", "old.pkl", "damaged")
def _(shop: Workshop) -> list[str]:
    return _train(shop, b"\x80\x02\x82\x01.")


# --- its content ------------------------------------------------------------------------------------------------------


@mistake("a pickle with a matrix instead of a dictionary", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, np.zeros((12, SIZE), "float32"))


@mistake("a pickle with ids and a matrix side by side", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, (_ids(shop), np.zeros((12, SIZE), "float32")))


@mistake("a pickle with no feature", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {})


@mistake("a pickle of features with numbers for keys", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, dict(enumerate(_vectors(shop).values())))


@mistake("a pickle of captions where features belong", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: ["a red ball"] for image in _ids(shop)})


@mistake("a pickle of features with text for an array", "old.pkl", "'red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, "0.5 0.25")


@mistake("a pickle with a dictionary for each image", "old.pkl", "'red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, {"fc1": np.zeros(SIZE), "fc2": np.zeros(SIZE)})


@mistake("a pickle of features with NaN", "old.pkl", "NaN", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.full(SIZE, np.nan, "float32"))


@mistake("a pickle of features too large for float32", "old.pkl", "NaN", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.full(SIZE, 1e300))


@mistake("a pickle of features of two encoders", "old.pkl", "100", "'red_ball.png'", "256", "shape")
def _(shop: Workshop) -> list[str]:
    return _one_wrong(shop, np.zeros(100, "float32"))


@mistake("a pickle of pixels that are integers", "old.pkl", "floating-point")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: np.zeros((8, 8, 3), "uint8") for image in _ids(shop)})


@mistake("a pickle of grids with channels first", "old.pkl", "256", "np.moveaxis")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: np.zeros((256, 3, 3), "float32") for image in _ids(shop)})


@mistake("a pickle with batches of grids for an image", "shape")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: np.zeros((5, 3, 3, 8), "float32") for image in _ids(shop)})


# --- whose features they are ------------------------------------------------------------------------------------------


@mistake("a pickle of other images' features", "old.pkl", "'1000.jpg'")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {f"{number}.jpg": np.zeros(SIZE, "float32") for number in (1000, 1001)})


@mistake("a pickle without the dev images", "old.pkl", "3 of 12", "3 of 3", "blue_")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: array for image, array in _vectors(shop).items() if not image.startswith("blue")})


@mistake("a pickle without the test images, said before training", "3 of 3", "features.max_bad_fraction")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {image: array for image, array in _vectors(shop).items() if not image.startswith("yellow")})


@mistake("a pickle with two keys for an image", "'red_ball.png'", "'red_ball.jpg'", "'red_ball.jpeg'")
def _(shop: Workshop) -> list[str]:
    vectors = _vectors(shop)
    array = vectors.pop("red_ball.png")
    return _given(shop, {**vectors, "red_ball.jpg": array, "red_ball.jpeg": array})


@mistake("a pickle whose key moves the cursor", "old.pkl", "x1b[2J")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {"\x1b[2J\n": "x"})


@mistake("a pickle whose key is 100,000 letters long", "old.pkl")
def _(shop: Workshop) -> list[str]:
    return _given(shop, {"a" * 100_000: "x"})


# --- incompatible settings --------------------------------------------------------------------------------------------


@mistake("an encoder that learns beside a pickle of features", "encoder.trainable")
def _(shop: Workshop) -> list[str]:
    return _given(shop, _vectors(shop), encoder={"trainable": True})


@mistake("views of images beside a pickle of features", "training.cached_crops")
def _(shop: Workshop) -> list[str]:
    return _given(shop, _vectors(shop), training={"cached_crops": 1})


@mistake("an encoder to adapt beside a pickle of features", "encoder.pretrain_on_words")
def _(shop: Workshop) -> list[str]:
    return _given(shop, _vectors(shop), encoder={"pretrain_on_words": {"output": str(shop / "adapted")}})


@mistake("several encoders beside a pickle of features", "features.store")
def _(shop: Workshop) -> list[str]:
    return _given(shop, _vectors(shop), encoder=[{"type": "small_cnn"}, {"type": "small_cnn"}])


@mistake("an attention decoder beside a pickle of vectors", "regions", "vector")
def _(shop: Workshop) -> list[str]:
    shop.sections["decoder"] = {"type": "attention", "units": 16, "embedding": {"size": 8}}
    return _given(shop, _vectors(shop))


@mistake("a run scored on a pickle of another encoder", "100", "256", "shape")
def _(shop: Workshop) -> list[str]:
    path = shop.write("old.pkl", pickle.dumps(_vectors(shop, 100)))
    return ["evaluate", str(shop.run()), "--set", f"features.store={path}"]


@mistake("a training that goes on with a pickle of features", "--run")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    return [*_given(shop, _vectors(shop))[:-1], str(run), "--resume"]


# --- a run that was trained from a pickle -----------------------------------------------------------------------------


def _without_encoder(shop: Workshop, **changes: object) -> Path:
    """Copies the toy's run as if it had been trained on a pickle of another encoder's features."""
    run = shop.run()
    note = {"store": "old.pkl", "sha256": "0" * 64, "encoder": "none", "why": "resnet50 gives (2048,) an image"}
    about = json.loads((run / "captioner.json").read_text())
    (run / "captioner.json").write_text(json.dumps({**about, "features": {**note, **changes}}))
    for name in ("encoder.json", "encoder.weights.h5"):
        (run / name).unlink()
    return run


@mistake("a photograph for a run without encoder", "2048")
def _(shop: Workshop) -> list[str]:
    run = _without_encoder(shop)
    return ["caption", str(run), str(shop.toy.data / "images" / "red_ball.png")]


@mistake("images to score for a run without encoder", "features.store")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(_without_encoder(shop))]


@mistake("a run with a damaged note of its features", "captioner.json", "damaged")
def _(shop: Workshop) -> list[str]:
    run = _without_encoder(shop, why=7)
    return ["caption", str(run), str(shop.toy.data / "images" / "red_ball.png")]


@mistake("a run whose encoder is of no known kind", "captioner.json: features", "encoder", "damaged")
def _(shop: Workshop) -> list[str]:
    return ["show", str(_without_encoder(shop, encoder="perhaps"))]


@mistake("a run that says an encoder is there, and has none", "encoder.json", "No such file")
def _(shop: Workshop) -> list[str]:
    return ["show", str(_without_encoder(shop, encoder="verified"))]


# --- show -------------------------------------------------------------------------------------------------------------


@mistake("a folder that is no run, to show", "config.yaml")
def _(shop: Workshop) -> list[str]:
    shop.write("notes/readme.txt", "x")
    return ["show", str(shop / "notes")]


@mistake("a run without weights, to show", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "model.weights.h5").unlink()
    return ["show", str(run)]


@mistake("a diagram as a PDF", "model.pdf")
def _(shop: Workshop) -> list[str]:
    return ["show", str(shop.toy.run), "--diagram", str(shop / "model.pdf")]


@mistake("a diagram over a photograph", "photo.png", "--diagram")
def _(shop: Workshop) -> list[str]:
    photo = shop.write("photo.png", (shop.toy.data / "images" / "red_ball.png").read_bytes())
    return ["show", str(shop.toy.run), "--diagram", str(photo)]


@mistake("a diagram over a drawing of one's own", "logo.svg", "--diagram")
def _(shop: Workshop) -> list[str]:
    return ["show", str(shop.toy.run), "--diagram", str(shop.write("logo.svg", "<svg/>"))]


@mistake("a diagram into a folder", "drawings.svg")
def _(shop: Workshop) -> list[str]:
    (shop / "drawings.svg").mkdir()
    return ["show", str(shop.toy.run), "--diagram", str(shop / "drawings.svg")]


@mistake("a diagram below a file", "cannot", "file/model.svg")
def _(shop: Workshop) -> list[str]:
    shop.write("file", "x")
    return ["show", str(shop.toy.run), "--diagram", str(shop / "file" / "model.svg")]


@mistake("a diagram into a named pipe", "pipe.svg")
def _(shop: Workshop) -> list[str]:
    os.mkfifo(shop / "pipe.svg")
    return ["show", str(shop.toy.run), "--diagram", str(shop / "pipe.svg")]
