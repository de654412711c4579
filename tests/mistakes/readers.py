"""Input files: pipes and devices in their place, huge numbers, archives that unpack to too much."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.captions import _captions, _vectors
from tests.mistakes.encoders import _custom
from tests.mistakes.features import _extract
from tests.mistakes.special import DEEP, device, pipe
from tests.support import toy


def _scored(message: Path, true: Path) -> list[str]:
    return ["score", "--hypotheses", str(message), "--references", str(true)]


PIPE, DEVICE = "it is a pipe, not a file", "it is a device, not a file"


# --- pipes and devices ------------------------------------------------------------------------------------------------


@mistake("a config that is a pipe", "config.yaml", PIPE)
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(pipe(shop / "config.yaml"))]


@mistake("a config that is a device", "config.yaml", DEVICE)
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(device(shop / "config.yaml"))]


@mistake("captions that are a pipe", "data.captions", "captions.csv", PIPE)
def _(shop: Workshop) -> list[str]:
    pipe(shop.data() / "captions.csv")
    return _extract(shop)


@mistake("captions that are a device", "data.captions", "captions.csv", DEVICE)
def _(shop: Workshop) -> list[str]:
    device(shop.data() / "captions.csv")
    return _extract(shop)


@mistake("captions of an image that are a pipe", "red_ball.txt", PIPE)
def _(shop: Workshop) -> list[str]:
    root = shop.data()
    for row in toy.rows():
        (root / "notes" / row["image"]).with_suffix(".txt").parent.mkdir(exist_ok=True)
        (root / "notes" / row["image"]).with_suffix(".txt").write_text(row["caption"])
    pipe(root / "notes" / "red_ball.txt")
    return _extract(shop, data={"captions": "notes", "images": "images"})


@mistake("captions to look at that are a pipe", "captions.csv", PIPE)
def _(shop: Workshop) -> list[str]:
    return ["init", str(shop.data() / "images"), "--captions", str(pipe(shop / "captions.csv"))]


@mistake("captions to score that are a pipe", "said.json", PIPE)
def _(shop: Workshop) -> list[str]:
    return _scored(pipe(shop / "said.json"), shop.write("true.json", '{"a": ["a dog"]}'))


@mistake("captions to score that are a device", "said.txt", DEVICE)
def _(shop: Workshop) -> list[str]:
    return _scored(device(shop / "said.txt"), shop.write("true.json", '{"a": ["a dog"]}'))


@mistake("references that are a pipe", "true.json", PIPE)
def _(shop: Workshop) -> list[str]:
    return _scored(shop.write("said.json", '{"a": "a dog"}'), pipe(shop / "true.json"))


@mistake("references that are a device", "true.csv", DEVICE)
def _(shop: Workshop) -> list[str]:
    return _scored(shop.write("said.json", '{"a": "a dog"}'), device(shop / "true.csv"))


@mistake("word vectors that are a pipe", PIPE)
def _(shop: Workshop) -> list[str]:
    pipe(shop / "glove.txt")
    return _vectors(shop, None)


@mistake("word vectors that are a device", DEVICE)
def _(shop: Workshop) -> list[str]:
    device(shop / "glove.txt")
    return _vectors(shop, None)


@mistake("word vectors in one line without end", "glove.txt", "line 1")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, b"ball " + b"1 " * 10**6)


@mistake("encoder weights that are a pipe", PIPE)
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"weights": str(pipe(shop / "mine.weights.h5"))})


@mistake("encoder weights that are a device", DEVICE)
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"weights": str(device(shop / "mine.weights.h5"))})


@mistake("a custom encoder that is a pipe", "mine.keras", PIPE)
def _(shop: Workshop) -> list[str]:
    return _custom(shop, pipe(shop / "mine.keras"))


# --- configs ----------------------------------------------------------------------------------------------------------


@mistake("a config of 300 kB", "config.yaml")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(shop.write("config.yaml", "# comment\n" * 30_720))]


@mistake("a seed of 5,000 digits", "config.yaml", "line 1", "5,000")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(shop.write("config.yaml", f"seed: {'1' * 5000}\n"))]


@mistake("a seed of 5,000 hexadecimal digits", "config.yaml", "line 1", "5,002")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(shop.write("config.yaml", f"seed: 0x{'1' * 5000}\n"))]


@mistake("a key of 1,000 hexadecimal digits", "config.yaml", "line 1", "1,002")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(shop.write("config.yaml", f"0x{'1' * 1000}: 3\n"))]


@mistake("a seed of 5,000 digits in --set", "--set seed=", "YAML")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", f"seed={'1' * 5000}"]


HUGE: dict[str, tuple[str, dict[str, Any]]] = {
    "captions of 10^30 tokens": ("text.max_length", {"text": {"max_length": 10**30}}),
    "10^30 epochs": ("training.epochs", {"training": {"epochs": 10**30}}),
    "a batch of 10^30 captions": ("training.batch_size", {"training": {"batch_size": 10**30}}),
    "an image size of 10^30": ("encoder.image_size", {"encoder": {"type": "small_cnn", "image_size": 10**30}}),
    "10^30 units": ("decoder.units", {"decoder": {"units": 10**30}}),
    "a vocabulary of 10^30 words": ("text.max_words", {"text": {"max_words": 10**30}}),
    "10^30 examples in the report": ("evaluation.examples", {"evaluation": {"examples": 10**30}}),
    "10^30 threads": ("features.workers", {"features": {"workers": 10**30}}),
    "a split drawn with a seed of -10^30": ("data.split.seed", {"data": {"split": {"seed": -(10**30)}}}),
    "a sample drawn with a seed of 10^30": ("decoding.seed", {"decoding": {"type": "sample", "seed": 10**30}}),
}


def _huge_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    def prepare(shop: Workshop) -> list[str]:
        if "decoding" in changes:
            shop.sections["decoding"] = {}
        return ["validate", "--config", shop.config(**changes)]

    return prepare


for _name, (_key, _changes) in HUGE.items():
    mistake(_name, _key)(_huge_case(_changes))


# --- captions in JSON -------------------------------------------------------------------------------------------------


@mistake("captions nested 100,000 deep", "captions.json", "JSON")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, DEEP, "captions.json")


@mistake("captions nested 900 deep", "captions.json", "JSON")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"a.png": ' + "[" * 900 + "]" * 900 + "}", "captions.json")


@mistake("captions in which an image stands twice", "captions.json", "'red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"red_ball.png": "a red ball", "red_ball.png": "a ball"}', "captions.json")


@mistake("a line of captions nested 100,000 deep", "captions.jsonl", "line 2", "nested")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"image": "red_ball.png", "caption": "a ball"}\n' + DEEP + "\n", "captions.jsonl")


@mistake("a row number of 5,000 digits", "captions.json", "4300", "JSON")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '[{"image": "a.png", "caption": "x", "id": ' + "1" * 5000 + "}]", "captions.json")


@mistake("captions to score nested 100,000 deep", "said.json", "JSON")
def _(shop: Workshop) -> list[str]:
    return _scored(shop.write("said.json", DEEP), shop.write("true.json", '{"a": ["a dog"]}'))


@mistake("a line of captions to score nested 100,000 deep", "said.jsonl", "line 1", "nested")
def _(shop: Workshop) -> list[str]:
    return _scored(shop.write("said.jsonl", DEEP), shop.write("true.json", '{"a": ["a dog"]}'))


@mistake("references in which an image stands twice", "true.json", "'a'")
def _(shop: Workshop) -> list[str]:
    return _scored(shop.write("said.json", '{"a": "a dog"}'), shop.write("true.json", '{"a": ["x"], "a": ["y"]}'))


# --- archives that unpack to too much or state false sizes ------------------------------------------------------------


def _keras(
    shop: Workshop, config: bytes = b"{}", weights: bytes = b"", more: dict[str, bytes] | None = None
) -> list[str]:
    """Writes a ``.keras`` file of these members, all compressed."""
    with zipfile.ZipFile(shop / "mine.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"config.json": config, "model.weights.h5": weights, **(more or {})}.items():
            archive.writestr(name, content)
    return _custom(shop, shop / "mine.keras")


SPACES = bytes(1) * 40_000_000


@mistake("a custom encoder whose config unpacks to 40 MB", "mine.keras", "'config.json'", "unpack")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, b'{"class_name": "' + SPACES.replace(b"\0", b" ") + b'"}')


@mistake("a custom encoder whose weights unpack to 40 MB", "mine.keras", "unpack")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, weights=SPACES)


@mistake("a custom encoder with assets that unpack to 40 MB", "mine.keras", "unpack")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, more={"assets/vocabulary.txt": SPACES})


def _lying(content: bytes, name: bytes, size: int) -> bytes:
    """Changes the unpacked size that an archive's central directory states."""
    place = content.rindex(name) - 46
    assert content[place : place + 4] == b"PK\x01\x02"
    return content[: place + 24] + struct.pack("<L", size) + content[place + 28 :]


@mistake("a custom encoder whose config is larger than listed", "mine.keras", "damaged", "CRC")
def _(shop: Workshop) -> list[str]:
    arguments = _keras(shop, b'{"a": "' + b" " * 10**6 + b'"}')
    path = shop / "mine.keras"
    path.write_bytes(_lying(path.read_bytes(), b"config.json", 99))
    return arguments


@mistake("a custom encoder whose weights are larger than listed", "mine.keras", "damaged", "CRC")
def _(shop: Workshop) -> list[str]:
    arguments = _keras(shop, weights=SPACES[: 10**6])
    path = shop / "mine.keras"
    path.write_bytes(_lying(path.read_bytes(), b"model.weights.h5", 99))
    return arguments


@mistake("a custom encoder without its config", "mine.keras", "config.json")
def _(shop: Workshop) -> list[str]:
    with zipfile.ZipFile(shop / "mine.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    return _custom(shop, shop / "mine.keras")


@mistake("a custom encoder whose config has a key twice", "mine.keras", "'module'")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, b'{"module": "keras", "module": "os"}')


@mistake("a custom encoder whose config has a number without end", "mine.keras")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, b'{"rate": 1e999}')


@mistake("a custom encoder of 60,000 members", "mine.keras")
def _(shop: Workshop) -> list[str]:
    return _keras(shop, more={f"assets/a-member-with-a-long-name-{n}": b"" for n in range(60_000)})


@mistake("a custom encoder whose members overlap", "mine.keras")
def _(shop: Workshop) -> list[str]:
    noise = np.random.default_rng(0).bytes(10_000)
    arguments = _keras(shop, more={f"assets/{n}": noise if n == 0 else b"x" for n in range(9)})
    content = (shop / "mine.keras").read_bytes()
    first = content.rindex(b"assets/0") - 46
    for number in range(1, 9):  # each claims the position of the first one
        place = content.rindex(b"assets/%d" % number) - 46
        sizes, where = content[first + 16 : first + 28], content[first + 42 : first + 46]
        content = content[: place + 16] + sizes + content[place + 28 : place + 42] + where + content[place + 46 :]
    (shop / "mine.keras").write_bytes(content)
    return arguments


@mistake("encoder weights packed in 40 MB of nothing", "mine.keras", "unpack")
def _(shop: Workshop) -> list[str]:
    _keras(shop, weights=SPACES)
    return _extract(shop, encoder={"weights": str(shop / "mine.keras")})


def _h5(make: Callable[[h5py.File], object]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        make(opened)
    return file.getvalue()


@mistake("encoder weights that promise 10^15 numbers", "1,000,000,000,000,000")
def _(shop: Workshop) -> list[str]:
    content = _h5(lambda file: file.create_dataset("a", (10**15,), "f4", chunks=(1000,)))
    return _extract(shop, encoder={"weights": str(shop.write("mine.weights.h5", content))})


@mistake("encoder weights that are a loop of links", "mine.weights.h5")
def _(shop: Workshop) -> list[str]:
    content = _h5(lambda file: file.__setitem__("a", h5py.SoftLink("/")))
    return _extract(shop, encoder={"weights": str(shop.write("mine.weights.h5", content))})


@mistake("encoder weights that are pieces of another file", "mine.weights.h5")
def _(shop: Workshop) -> list[str]:
    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((9,), "f4")
        layout[:] = h5py.VirtualSource("/etc/hostname", "a", (9,))
        file.create_virtual_dataset("a", layout)

    return _extract(shop, encoder={"weights": str(shop.write("mine.weights.h5", _h5(virtual)))})


@mistake("encoder weights of a struct type", "mine.weights.h5")
def _(shop: Workshop) -> list[str]:
    content = _h5(lambda file: file.create_dataset("a", (3,), np.dtype([("x", "f4"), ("y", "i8")])))
    return _extract(shop, encoder={"weights": str(shop.write("mine.weights.h5", content))})


def _official(root: Path) -> None:
    text = "".join(f"{row['image']}#{n % 2}\t{row['caption']}\n" for n, row in enumerate(toy.rows()))
    (root / "tokens.txt").write_text(text)
    for split in ("train", "dev", "test"):
        names = sorted({row["image"] for row in toy.rows() if row["split"] == split})
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")


@mistake("a list of a split that is a pipe", "dev.txt", PIPE)
def _(shop: Workshop) -> list[str]:
    root = shop.data()
    _official(root)
    pipe(root / "dev.txt")
    lists = {split: f"{split}.txt" for split in ("train", "dev", "test")}
    return _extract(shop, data={"type": "flickr8k", "captions": "tokens.txt", "images": "images", "lists": lists})


@mistake("Karpathy's captions with an image's keys twice", "dataset.json", "'split'")
def _(shop: Workshop) -> list[str]:
    entry = json.dumps({"filename": "red_ball.png", "split": "train", "sentences": [{"raw": "a ball"}]})
    text = '{"images": [' + entry.replace('"split"', '"split": "test", "split"') + "]}"
    return _captions(shop, text, "dataset.json", type="karpathy", images="images")
