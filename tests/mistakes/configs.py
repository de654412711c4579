"""Configs and --set."""

from tests.mistakes import Workshop, mistake


def _validate(shop: Workshop, content: str | bytes) -> list[str]:
    return ["validate", "--config", str(shop.write("bad.yaml", content))]


def _text(shop: Workshop, line: str) -> list[str]:
    """Returns the toy config as text with an additional line."""
    from pathlib import Path

    return _validate(shop, Path(shop.config()).read_text() + line + "\n")


@mistake("misspelt key", "decoder.untis", "did you mean 'units'?")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"untis": 5})]


@mistake("misspelt section", "trainning", "did you mean 'training'?")
def _(shop: Workshop) -> list[str]:
    return _text(shop, "trainning: {epochs: 3}")


@mistake("five errors at once", "decoder.units", "seed", "encoder", "training.epochs", "data.rot", errors=5)
def _(shop: Workshop) -> list[str]:
    return [
        *["validate", "--config", shop.config(decoder={"units": 0}, encoder={"type": "resnet51"}, data={"rot": 1})],
        *["--set", "seed=-1", "--set", "training.epochs=many"],
    ]


@mistake("wrong type", "decoder.units", "'many'")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"units": "many"})]


@mistake("number out of range", "decoder.dropout", "less than 1")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"dropout": 1.5})]


@mistake("not a number", "training.learning_rate", "nan")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(training={"learning_rate": float("nan")})]


@mistake("a section that is a word", "decoder", "'merge'")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder="merge")]


@mistake("a section that is empty", "training")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(training=None)]


@mistake("unknown encoder", "resnet51", "did you mean 'resnet50", "capsmith list encoders")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(encoder={"type": "resnet51"})]


@mistake("unknown decoder", "decoder.type", "'mrege'", "did you mean 'merge'?")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"type": "mrege"})]


@mistake("a decoder's type that is a number", "decoder", "17")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"type": 17})]


@mistake("unknown dataset", "data.type", "'folders'", "did you mean 'folder'?")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(data={"type": "folders"})]


@mistake("dataset without a type", "data.type", "required")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "data={root: x}"]


@mistake("unknown metric", "training", "bleu5", "did you mean 'bleu")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(training={"metric": "bleu5"})]


@mistake("key of another decoder", "decoder.fusion")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoder={"fusion": "add"})]


@mistake("ImageNet weights for our own CNN", "small_cnn", "ImageNet")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(encoder={"weights": "imagenet"})]


@mistake("image size of one pixel", "encoder.image_size", "4096")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(encoder={"image_size": 1})]


@mistake("splits that leave nothing", "data.split")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(data={"split": {"dev": 0.5, "test": 0.6}})]


@mistake("seed beyond what numpy takes", "seed", "4294967296")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(), "--set", "seed=99999999999", "--run", str(shop / "new")]


@mistake("NUL in a path", "features.cache", "control character")
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(features={"cache": "a\0b"})]


@mistake("half a surrogate pair in a path", "data.root", "control character")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", 'data.root="\\ud800"']


@mistake("no such config", "did you mean 'quickstart.yaml'?", "flickr8k.yaml")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", "quikstart.yaml"]


@mistake("config that is a folder", "folder.yaml")
def _(shop: Workshop) -> list[str]:
    (shop / "folder.yaml").mkdir()
    return ["validate", "--config", str(shop / "folder.yaml")]


@mistake("empty config", "bad.yaml")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "")


@mistake("config of comments alone", "bad.yaml")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "# data: {type: scenes}\n")


@mistake("config that is a list", "bad.yaml")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "- data\n- decoder\n")


@mistake("binary config", "bad.yaml", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, bytes(range(255, 100, -1)) * 9)


@mistake("config of NUL bytes", "bad.yaml", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, bytes(4096))


@mistake("Latin-1 config", "bad.yaml", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {type: folder, root: café}\n".encode("latin-1"))


@mistake("UTF-16 config", "bad.yaml", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {type: folder, root: x}\n".encode("utf-16"))


@mistake("YAML that does not parse", "bad.yaml", "line 2", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {type: folder\ndecoder: {type: merge}\n")


@mistake("tabs in YAML", "bad.yaml", "line 2", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data:\n\ttype: folder\n")


@mistake("two documents in one file", "bad.yaml", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {type: scenes}\n---\ndecoder: {type: merge}\n")


@mistake("a key that stands twice", "bad.yaml", "line 2", "'data'")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {type: scenes}\ndata: {type: folder}\n")


@mistake("a key that YAML reads as no", "bad.yaml", "quote")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: {no: scenes}\n")


@mistake("a date that is none", "bad.yaml", "line 1", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "seed: 2020-13-45\n")


@mistake("a number of 5000 digits", "bad.yaml", "line 1", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, f"seed: {'1' * 5000}\n")


@mistake("a tag that runs a command", "bad.yaml", "python/object/apply", "YAML")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, f"data: !!python/object/apply:os.system ['touch {shop.sentinel}']\n")


@mistake("nested 1,000 deep", "bad.yaml", "nested")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: " + "[" * 1_000)


@mistake("a billion laughs", "bad.yaml", "10,000", "alias")
def _(shop: Workshop) -> list[str]:
    lists = ["&a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lists += [f"&{y} [{', '.join([f'*{x}'] * 10)}]" for x, y in zip("abcdefgh", "bcdefghi", strict=True)]
    return _validate(shop, "seed: [" + ", ".join(lists) + "]\ndata: {type: scenes}\ndecoder: {type: merge}\n")


@mistake("an alias of itself", "bad.yaml", "10,000", "alias")
def _(shop: Workshop) -> list[str]:
    return _validate(shop, "data: &a {type: folder, root: *a}\ndecoder: {type: merge}\n")


@mistake("--set without a value", "--set decoder.units", "section.key=value")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "decoder.units"]


@mistake("--set without a key", "--set =5", "section.key=value")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "=5"]


@mistake("--set with an empty part", "--set decoder..units=5", "section.key=value")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "decoder..units=5"]


@mistake("--set below a value", "--set seed.x=3")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "seed.x=3"]


@mistake("--set of half a list", "--set evaluation.metrics=[bleu", "YAML")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "evaluation.metrics=[bleu"]


@mistake("the hallucination rate to select epochs by", "training.metric", "hallucination")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "training.metric=hallucination"]


@mistake("a detection threshold above 1", "evaluation.detection_threshold")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "evaluation.detection_threshold=40"]


@mistake("--set with a tag that runs a command", "--set data.root", "YAML")
def _(shop: Workshop) -> list[str]:
    value = f"!!python/object/apply:os.system ['touch {shop.sentinel}']"
    return ["validate", "--config", shop.config(), "--set", f"data.root={value}"]


@mistake("--set of a date that is none", "--set seed=2020-13-45", "YAML")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "seed=2020-13-45"]


@mistake("--set nested 1,000 deep", "--set seed=[", "YAML")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(), "--set", "seed=" + "[" * 20_000]


@mistake("--set with a misspelt section", "decodng", "did you mean 'decoding'?")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), "--set", "decodng.type=beam", str(shop.toy.data / "images")]
