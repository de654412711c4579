"""Plugins that load but violate the protocol of their kind."""

from tests.mistakes import Workshop, mistake
from tests.support.plugin_files import forgetting

HEADS = {
    "decoder": "from typing import Literal\nimport keras\nfrom keras import ops\n"
    "from capsmith.models.decoders.config import DECODERS, DecoderConfig\n",
    "dataset": "from pathlib import Path\nfrom typing import Literal\n"
    "from capsmith.data import DATASETS, Corpus, DatasetConfig, Record\n",
    "search": "from typing import Literal\nfrom capsmith.decoding.search import DECODINGS, DecodingConfig\n"
    "from capsmith.decoding.search import Hypothesis\n",
    "encoder": "from capsmith.vision.encoders import register_encoder\n",
    "metric": "from capsmith.metrics import register_metric\n",
}
SETTINGS = {
    "decoder": '@DECODERS.register("{}")\nclass MineConfig(DecoderConfig):\n    type: Literal["mine"] = "mine"\n',
    "dataset": '@DATASETS.register("{}")\nclass MineConfig(DatasetConfig):\n    type: Literal["mine"] = "mine"\n',
    "search": '@DECODINGS.register("{}")\nclass MineConfig(DecodingConfig):\n    type: Literal["mine"] = "mine"\n',
}
DECODER = """
class Mine(keras.layers.Layer):
    n_static = 1
    def __init__(self, config, size, vectors=None, log_frequencies=None):
        super().__init__(name="decoder")
        self.words, self.out = keras.layers.Embedding(size, 4), keras.layers.Dense(size)
    def call(self, features, tokens, image=None, training=False, dropout_masks=None):
        return self.out(self.words(tokens))
    def start(self, features):
        return (features,)
    def step(self, tokens, state, dropout_masks=None):
        return self.out(self.words(tokens)), state
"""


def plugin_option(shop: Workshop, text: str | bytes, name: str = "mine.py") -> list[str]:
    return ["--plugin", str(shop.write(name, text))]


def train_with(shop: Workshop, kind: str, text: str, target: str = "") -> list[str]:
    """Returns the command that trains with a component named ``mine``."""
    sections = {"decoder": "decoder", "dataset": "data", "search": "decoding", "encoder": "encoder"}
    settings = SETTINGS.get(kind, "").format(target)
    change = {"type": "mine"}
    if kind == "encoder":
        change |= {"weights": "none"}
    if kind == "search":
        shop.sections["decoding"] = {"max_length": 5}
    config = shop.config(**{sections[kind]: change})
    return [
        "train",
        "--config",
        config,
        "--run",
        str(shop / "new"),
        *plugin_option(shop, HEADS[kind] + settings + text),
    ]


def _search(shop: Workshop, text: str) -> list[str]:
    """Returns the command that captions with a search named ``mine``."""
    image = str(shop.toy.data / "images" / "red_ball.png")
    plugin = plugin_option(shop, HEADS["search"] + SETTINGS["search"].format(":mine") + text)
    return ["caption", str(shop.toy.run), image, "--set", "decoding.type=mine", *plugin]


def score_with(shop: Workshop, text: str, name: str = "mine") -> list[str]:
    """Returns the command that scores with a metric named ``mine``."""
    files = [str(shop.write(f"{n}.txt", "a dog runs\na cat sits\n")) for n in ("said", "true")]
    text = f'{HEADS["metric"]}@register_metric("{name}", "of mine")\ndef mine(hypotheses, references):\n    {text}\n'
    return ["score", "--hypotheses", files[0], "--references", files[1], "--metrics", name, *plugin_option(shop, text)]


@mistake("decoder that is no layer", "'mine'", "keras.layers.Layer", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "decoder", "def Mine(*a, **b):\n    return {}\n", ":Mine")


@mistake("decoder that cannot be built", "'mine'", "mine.py", "TypeError", "vectors", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = DECODER.replace(", vectors=None, log_frequencies=None", "")
    return train_with(shop, "decoder", text, ":Mine")


@mistake("decoder that goes no step", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "decoder", DECODER.replace("def step", "def stop"), ":Mine")


@mistake("decoder that says not what it keeps", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "decoder", DECODER.replace("    n_static = 1\n", ""), ":Mine")


@mistake("decoder of a few words", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "decoder", DECODER.replace("Dense(size)", "Dense(5)"), ":Mine")


@mistake("decoder that steps elsewhere than it was trained", "'mine'", "word 1", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = DECODER.replace("return self.out(self.words(tokens)), state", "return self.out(-self.words(tokens)), state")
    return train_with(shop, "decoder", text, ":Mine")


@mistake("decoder that fails within", "'mine'", "mine.py", "line 17", "RuntimeError", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = DECODER.replace("        return (features,)", "        raise RuntimeError('oh')")
    return train_with(shop, "decoder", text, ":Mine")


@mistake("dataset that reads nothing", "'mine'", "NoneType", "capsmith.data.Corpus", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "dataset", "def read(config):\n    pass\n", ":read")


@mistake("dataset of an unknown split", "'a'", "'valid'", "split", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = "def read(config):\n    return Corpus((Record('a', Path('a'), ('x',), 'valid'),))\n"
    return train_with(shop, "dataset", text, ":read")


@mistake("dataset whose captions are one text", "'a'", "'a dog'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = "def read(config):\n    return Corpus((Record('a', Path('a'), 'a dog', 'train'),))\n"
    return train_with(shop, "dataset", text, ":read")


@mistake("dataset of the same image twice", "'a'", "image_id", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = "def read(config):\n    return Corpus((Record('a', Path('a'), ('x',), 'train'),) * 2)\n"
    return train_with(shop, "dataset", text, ":read")


@mistake("dataset whose file is missing", "'mine'", "mine.py", "line 8", "FileNotFoundError", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "dataset", "def read(config):\n    open('gone.txt')\n", ":read")


@mistake("encoder that is no model", "'mine'", "NoneType", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = '@register_encoder("mine", "of mine", size=(32, 32))\ndef mine(size, weights):\n    pass\n'
    return train_with(shop, "encoder", text)


@mistake("encoder of words", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = '@register_encoder("mine", "of mine", size=(32, 32))\ndef mine(size, weights):\n    import keras\n'
    text += "    x = keras.Input((7,))\n    return keras.Model(x, keras.layers.Dense(3)(x))\n"
    return train_with(shop, "encoder", text)


@mistake("encoder that fails within", "'mine'", "mine.py", "line 4", "KeyError", around=forgetting)
def _(shop: Workshop) -> list[str]:
    text = '@register_encoder("mine", "of mine", size=(32, 32))\ndef mine(size, weights):\n    return {}["x"]\n'
    return train_with(shop, "encoder", text)


@mistake("ImageNet weights for a plugin's encoder", "ImageNet", around=forgetting)
def _(shop: Workshop) -> list[str]:
    plugin = plugin_option(shop, HEADS["encoder"] + 'register_encoder("mine", "of mine", size=(32, 32))(print)\n')
    return ["validate", "--config", shop.config(encoder={"type": "mine", "weights": "imagenet"}), *plugin]


@mistake("search that finds nothing", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return _search(shop, "def mine(config, stepper, features):\n    return []\n")


@mistake("search that returns words", "'mine'", "'a dog'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return _search(shop, "def mine(config, stepper, features):\n    return [['a dog'] for _ in features]\n")


@mistake("search of words that there are not", "'mine'", "99999", around=forgetting)
def _(shop: Workshop) -> list[str]:
    result = "[[Hypothesis((99999,), -1.0, -1.0, True)] for _ in features]"
    return _search(shop, f"def mine(config, stepper, features):\n    return {result}\n")


@mistake("metric of too few numbers", "'mine'", "shape", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "return [1.0]")


@mistake("metric that is no number", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "return [float('nan'), 1.0]")


@mistake("metric of words", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "return ['good', 'bad']")


@mistake("metric that returns nothing", "'mine'", "NoneType", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "pass")


@mistake("metric that fails within", "'mine'", "mine.py", "line 4", "IndexError", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "return references[7]")
