"""The plugins of docs/plugins.md end to end, one of every kind, and how plugins are loaded."""

import json
import os
import shutil
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from capsmith import Captioner, load_config, load_plugin, train
from capsmith.cli import main
from capsmith.config import DECODERS
from capsmith.core.errors import ConfigError, FeatureError, PluginError
from capsmith.core.loaded_plugins import loaded_plugins, plugin_location, provider
from capsmith.data.records import read_dataset
from capsmith.metrics import register_metric, score
from capsmith.vision.store import FeatureStore
from tests.support import plugin_files, toy
from tests.support.plugin_files import config_file, needs, option

pytestmark = pytest.mark.usefixtures("isolated_plugins")


# --- each kind, end to end --------------------------------------------------------------------------------------------


def test_the_docs_show_one_plugin_of_each_kind(place):
    for path in plugin_files.write(place):
        load_plugin(path)
    kinds = [kind for _, names in loaded_plugins() for kind, _ in names]
    assert sorted(kinds) == ["dataset", "decoder", "decoding", "encoder", "metric"]


def test_a_decoder_plugin_trains_resumes_evaluates_and_captions(place, capsys):
    given, run = option(place, "my_decoder.py"), place / "run"
    config = config_file(place, decoder={"type": "gated", "units": 16, "embedding": {"size": 8}})
    image = str(place / "data" / "images" / "red_ball.png")
    assert main(["train", "--config", config, "--run", str(run), *given]) == 0
    assert main(["train", "--config", config, "--run", str(run), "--resume", *given]) == 0
    assert main(["evaluate", str(run), "--split", "dev", *given]) == 0
    assert main(["evaluate", str(run), str(run), *given]) == 0  # an ensemble
    capsys.readouterr()
    assert main(["caption", str(run), image, *given]) == 0
    assert capsys.readouterr().out.startswith(f"{image}\t")
    assert needs(run) == {("decoder", "gated"): "my_decoder.py"}


def test_a_dataset_plugin(place, capsys):
    rows = [f"images/{row['image']}|{row['caption']}\n" for row in toy.rows()]
    (place / "data" / "captions.txt").write_text("".join(rows))
    config, run = config_file(place, data={"type": "bars", "root": str(place / "data")}), place / "run"
    given = option(place, "my_dataset.py")
    assert main(["validate", "--quiet", "--config", config, *given]) == 0
    assert main(["train", "--config", config, "--run", str(run), *given]) == 0
    assert "data: bars at " in capsys.readouterr().err
    assert needs(run) == {("dataset", "bars"): "my_dataset.py"}
    (place / "data" / "captions.txt").unlink()
    assert main(["validate", "--config", config, *given]) == 2
    assert "data.captions: " in capsys.readouterr().err


def test_an_encoder_plugin_pooled_and_as_a_grid(place, capsys):
    given = option(place, "my_encoder.py")
    for output, shape in (("pooled", (16,)), ("grid", (16, 16))):
        config = config_file(place, encoder={"type": "edges", "output": output, "image_size": 32})
        run = place / output
        assert main(["train", "--config", config, "--run", str(run), *given]) == 0
        captioner = Captioner.load(run)
        assert captioner.feature_shape == shape
        (path,) = place.joinpath("cache").glob(f"edges-{output}-*")
        store = FeatureStore.open(path)
        image = place / "data" / "images" / "red_ball.png"
        np.testing.assert_allclose(
            captioner.features([image])[0], store.gather(store.rows(["red_ball.png"]))[0], atol=2e-3
        )
    assert main(["list", "encoders", *given]) == 0
    assert "edges" in capsys.readouterr().out


def test_features_of_two_versions_of_an_encoder_plugin_are_not_mixed(place):
    (path,) = plugin_files.write(place, "my_encoder.py")
    config = config_file(place, encoder={"type": "edges", "image_size": 32})
    assert main(["extract", "--config", config, "--plugin", str(path)]) == 0
    path.write_text(path.read_text().replace("Conv2D(16", "Conv2D(8"))
    assert main(["extract", "--config", config, "--plugin", str(path)]) == 0
    stores = sorted(place.joinpath("cache").glob("edges-*"))
    assert sorted(FeatureStore.open(store).shape for store in stores) == [(8,), (16,)]
    with pytest.raises(FeatureError, match="plugin: sha256"):
        other = next(store for store in stores if FeatureStore.open(store).shape == (16,))
        train(load_config(config, [f"features.store={other}"]), place / "run")


def test_a_search_plugin_and_its_settings(place, tiny_run, capsys):
    given = option(place, "my_search.py")
    image = str(tiny_run.data / "images" / "red_ball.png")
    how = ["--json", "--set", "decoding.type=longest", "--set", "decoding.samples=4"]
    assert main(["caption", str(tiny_run.run), image, *how, *given]) == 0
    beams = [len(one["caption"].split()) for one in json.loads(capsys.readouterr().out)["beams"]]
    assert len(beams) == 4 and beams == sorted(beams, reverse=True)
    assert main(["evaluate", str(tiny_run.run), "--out", str(place / "out"), *how, *given]) == 0
    assert json.loads((place / "out" / "scores.json").read_text())["decoding"]["samples"] == 4


def test_a_metric_plugin_scores_selects_epochs_and_is_reported(place, capsys):
    given, run = option(place, "my_metric.py"), place / "run"
    config = config_file(
        place, evaluation={"metrics": ["bleu4", "precision"]}, training={"epochs": 1, "metric": "precision"}
    )
    assert main(["train", "--config", config, "--run", str(run), *given]) == 0
    report = (run / "report" / "index.html").read_text()
    assert "precision|plugin:my_metric.py|sha:" in report
    assert "dev_precision" in (run / "history.csv").read_text().splitlines()[0]
    assert "best epoch 1: dev (greedy) precision " in (run / "log.txt").read_text()
    capsys.readouterr()
    table = place / "data" / "captions.csv"
    first = [{"image": row["image"], "caption": row["caption"]} for row in toy.rows()[::2]]
    toy.write_captions(place / "said.csv", first)
    files = ["--hypotheses", str(place / "said.csv"), "--references", str(table)]
    assert main(["score", *files, "--metrics", "precision", "--human", *given]) == 0
    shown = capsys.readouterr().out
    assert "Precision  1.000" in shown and "people" in shown


# --- metrics, computed by hand ----------------------------------------------------------------------------------------

REFERENCES = {"a": ["a dog runs", "the dog"], "b": ["a cat"]}


def test_a_metric_averaged_over_images():
    @register_metric("words", "how many words a caption has")
    def words(hypotheses, references):
        return [len(tokens) for tokens in hypotheses]

    result = score({"a": "a dog runs fast", "b": "a cat"}, REFERENCES, ["words"])["words"]
    assert (result.value, dict(result.per_image)) == (3.0, {"a": 4.0, "b": 2.0})
    assert 2.0 <= result.interval[0] <= result.interval[1] <= 4.0
    assert "plugin:tests|sha:" in result.signature


def test_a_corpus_level_metric():
    @register_metric("share", "share of known words", combine=lambda summed: summed[..., 0] / summed[..., 1])
    def share(hypotheses, references):
        known = [{word for one in group for word in one} for group in references]
        return [(sum(w in all_ for w in words), len(words)) for words, all_ in zip(hypotheses, known, strict=True)]

    result = score({"a": "a dog runs fast", "b": "a cat"}, REFERENCES, ["share"])["share"]
    assert result.value == pytest.approx(5 / 6) and dict(result.per_image) == {"a": 0.75, "b": 1.0}


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_plugin_given_twice_is_loaded_once(place):
    (path,) = plugin_files.write(place, "my_search.py")
    assert load_plugin(path) is load_plugin(str(path)) and len(loaded_plugins()) == 1


def test_a_changed_plugin_replaces_its_earlier_version(place):
    (path,) = plugin_files.write(place, "my_search.py")
    before = load_plugin(path)
    path.write_text(path.read_text().replace("default=10", "default=3"))
    after = load_plugin(path)
    assert before.sha256 != after.sha256 and len(loaded_plugins()) == 1
    result = load_config(config_file(place, decoding={"type": "longest"}))
    assert result.decoding.samples == 3


def test_a_failed_plugin_registers_nothing_and_loads_once_fixed(place):
    (path,) = plugin_files.write(place, "my_search.py")
    good = path.read_text()
    path.write_text(good + "\n1 / 0\n")
    with pytest.raises(PluginError, match=r"plugin my_search.py, line \d+: ZeroDivisionError: division by zero"):
        load_plugin(path)
    with pytest.raises(ConfigError, match="'longest' is not known"):
        load_config(config_file(place, decoding={"type": "longest"}))
    path.write_text(good)
    load_plugin(path)
    assert load_config(config_file(place, decoding={"type": "longest"})).decoding.samples == 10


def test_an_imported_file_is_not_executed_again(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    (path,) = plugin_files.write(place, "my_search.py")
    (place / "imported_search.py").write_text(path.read_text() + "\nprint('run')\n")
    import imported_search

    loaded = load_plugin(place / "imported_search.py")
    assert loaded.name == "imported_search.py" and provider("decoding", "longest") == loaded
    assert imported_search.longest is not None
    del sys.modules["imported_search"]


def test_two_plugin_files_with_the_same_name(place):
    (first,) = plugin_files.write(place, "my_search.py")
    (place / "other").mkdir()
    (second,) = plugin_files.write(place / "other", "my_search.py")
    second.write_text(second.read_text().replace('"longest"', '"lengthy"'))
    load_plugin(first), load_plugin(second)
    assert {name for _, names in loaded_plugins() for _, name in names} == {"longest", "lengthy"}


ORDER = """
import sys
before = sys.argv[1] == "before"
if before:
    import my_metric, my_search, my_dataset, my_encoder
import capsmith.config
from capsmith import load_config
if not before:
    import my_metric, my_search, my_dataset, my_encoder
config = load_config({
    "data": {"type": "bars", "root": "x"}, "encoder": {"type": "edges"}, "decoder": {"type": "merge"},
    "decoding": {"type": "longest"}, "evaluation": {"metrics": ["precision"]},
})
assert type(config.data).__name__ == "BarsConfig" and config.decoding.samples == 10
assert not {"keras", "tensorflow"} & set(sys.modules)
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_order_of_imports_does_not_matter(place, order):
    plugin_files.write(place)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", ORDER, order]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


def test_an_error_in_a_plugin_is_one_line_with_file_and_line(place, tiny_run, capsys):
    (path,) = plugin_files.write(place, "my_search.py")
    path.write_text(path.read_text().replace("    sampling = ", "    [][1]\n    sampling = "))
    line = path.read_text().splitlines().index("    [][1]") + 1
    command = ["caption", str(tiny_run.run), str(tiny_run.data / "images"), "--set", "decoding.type=longest"]
    assert main([*command, "--plugin", str(path)]) == 2
    message = capsys.readouterr().err
    assert (
        message
        == f"capsmith: decoding 'longest', plugin my_search.py, line {line}: IndexError: list index out of range\n"
    )
    with pytest.raises(PluginError) as caught:
        main([*command, "--plugin", str(path), "--debug"])
    assert isinstance(caught.value.__cause__, IndexError) and plugin_location(caught.value.__cause__)


def test_a_plugin_that_imports_keras_does_so_quietly(place):
    """What it prints does not mix with the results."""
    (path,) = plugin_files.write(place, "my_decoder.py")
    path.write_text(path.read_text() + "\nprint('hello')\n")
    command = [sys.executable, "-m", "capsmith", "list", "decoders", "--plugin", str(path)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0 and "gated" in done.stdout and "hello" not in done.stdout
    assert done.stderr == "hello\n"


# --- installed --------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(place, monkeypatch):
    """An installed package of two modules, one of which an entry point names."""
    site = place / "site"
    (site / "mypackage").mkdir(parents=True)
    (site / "mypackage" / "__init__.py").write_text(f"open({str(place / 'RUN')!r}, 'a').write('x')\n")
    shutil.move(*plugin_files.write(place, "my_search.py"), site / "mypackage" / "searching.py")
    info = site / "mypackage-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[capsmith.plugins]\nlongest_search = mypackage.searching\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in ("mypackage", "mypackage.searching"):
        sys.modules.pop(name, None)


def test_an_installed_plugin_is_listed_and_not_loaded(package, place, capsys):
    assert main(["list", "plugins"]) == 0
    assert capsys.readouterr().out == "longest_search  installed by mypackage 1.2; --plugin longest_search loads it\n"
    assert main(["list", "decodings"]) == 0
    assert "longest" not in capsys.readouterr().out and not (place / "RUN").exists()


def test_an_installed_plugin_is_loaded_by_its_name(package, place, tiny_run, capsys):
    config, run = config_file(place, decoding={"type": "longest"}), place / "run"
    assert main(["train", "--config", config, "--run", str(run)]) == 2
    assert "'longest' is not known" in capsys.readouterr().err and not (place / "RUN").exists()
    assert main(["train", "--config", config, "--run", str(run), "--plugin", "longest_search"]) == 0
    assert needs(run) == {("decoding", "longest"): "longest_search"}
    assert main(["evaluate", str(run), "--plugin", "longest_search"]) == 0
    loaded = load_plugin("longest_search")
    assert len(loaded.sha256) == 64 and len(loaded.source.files) == 2
    assert (place / "RUN").read_text() == "x"


# --- registered from Python -------------------------------------------------------------------------------------------


def test_registration_from_python_without_a_plugin_file(place):
    """The decorator registers the class and returns it unchanged."""
    from capsmith.data import DATASETS, Corpus, DatasetConfig, Record

    def read(config):
        return Corpus((Record("a", config.root / "a.png", ("a ball",), "train"),))

    @DATASETS.register(read)
    class OneConfig(DatasetConfig):
        type: Literal["one"] = "one"

    config = load_config({"data": {"type": "One", "root": "x"}, "decoder": {"type": "merge"}})
    assert read_dataset(config.data).records[0].captions == ("a ball",)
    assert "one" in DATASETS.describe()


def test_a_decoder_that_is_not_recurrent_trains_and_captions(place):
    """Not a ``RecurrentDecoder``: it has only what the protocol requires."""
    path = place / "bag.py"
    path.write_text(BAG)
    load_plugin(path)
    config = load_config(config_file(place, decoder={"type": "bag", "embedding": {"size": 8}}))
    captioner = train(config, place / "run")
    image = place / "data" / "images" / "red_ball.png"
    assert Captioner.load(place / "run").caption(image).text == captioner.caption(image).text
    with pytest.raises(ConfigError, match="no attention"):
        captioner.caption(image, attention=True)
    scst = config.model_copy(
        update={
            "training": config.training.model_copy(update={"objective": "scst", "resume_weights_from": place / "run"})
        }
    )
    with pytest.raises(PluginError, match="has no widths"):
        train(scst, place / "scst")
    assert "bag" in DECODERS.names()


BAG = '''
from typing import Literal
import keras
from keras import ops
from capsmith.models.decoders.config import DECODERS, DecoderConfig

@DECODERS.register(":Bag")
class BagConfig(DecoderConfig):
    """The next word from the image and the last word."""
    type: Literal["bag"] = "bag"

class Bag(keras.layers.Layer):
    n_static = 1
    def __init__(self, config, vocabulary_size, vectors=None, log_frequencies=None):
        super().__init__(name="decoder")
        self.words = keras.layers.Embedding(vocabulary_size, config.embedding.size)
        self.image = keras.layers.Dense(config.embedding.size)
        self.out = keras.layers.Dense(vocabulary_size)
    def call(self, features, tokens, image=None, training=False, dropout_masks=None):
        v = self.image(features)
        each = ops.shape(tokens)[0] // ops.shape(features)[0]
        v = ops.take(v, image, axis=0) if image is not None else ops.repeat(v, each, axis=0)
        return self.out(self.words(tokens) + v[:, None])
    def start(self, features):
        return (self.image(features),)
    def step(self, tokens, state, dropout_masks=None):
        v = ops.repeat(state[0], ops.shape(tokens)[0] // ops.shape(state[0])[0], axis=0)
        return self.out(self.words(tokens) + v), state
'''
