from pathlib import Path

import pytest
import yaml

import capsmith
from capsmith.config import load_config, save_config
from tests.support.configs import BASE, error

OURS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_commented(path):
    config = load_config(path)
    assert path.read_text().startswith("# ")
    assert config.training.metric in ({"cider", "bleu4"} if hasattr(config, "decoder") else {"recall"})


def test_configs_are_shipped():
    assert {"quickstart", "flickr8k", "flickr30k", "coco", "folder"} <= {path.stem for path in OURS}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_a_saved_config_loads_to_the_same_config(path, tmp_path):
    where = "encoder.1" if isinstance(load_config(path).encoder, tuple) else "encoder"
    config = load_config(
        path, [f"{where}.image_size=[96, 128]", "data.root=größe/图片", "training.learning_rate=3e-05"]
    )
    save_config(config, tmp_path / "run" / "config.yaml")
    assert load_config(tmp_path / "run" / "config.yaml") == config
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    if hasattr(config, "decoder"):
        assert saved["decoder"]["units"] == config.decoder.units
        assert saved["evaluation"]["batch_size"] == 128  # every default is written out
    else:
        assert saved["embedding"]["text"]["units"] == config.embedding.text.units
        assert saved["training"]["learn_temperature"] is False


@pytest.mark.parametrize("name", ["1e3", "0E0", "12_0e-4", "no", "1.5", "2024-01-01", "a\x85b", "a: b", "null"])
def test_strings_that_look_like_other_types_are_saved_as_strings(name, tmp_path):
    config = load_config({**BASE, "data": {"type": "folder", "root": name}})
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml").data.root == Path(name)


def test_a_tilde_expands_to_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = load_config(BASE, ["data.root=~/images", "decoder.embedding.vectors=~/glove.txt"])
    assert config.data.root == Path("/home/someone/images")
    assert config.decoder.embedding.vectors == Path("/home/someone/glove.txt")


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("decoder.untis=5", "decoder.untis: unknown key; did you mean 'units'?"),
        ("trainign.epochs=5", "trainign: unknown key; did you mean 'training'?"),
        ("decoder.embedding.siz=5", "decoder.embedding.siz: unknown key; did you mean 'size'?"),
        ("decoder.type=injct", "decoder.type: 'injct' is not known; did you mean 'inject'? (one of: merge, inject, "),
        ("decoder.cell=lstn", "decoder.cell: 'lstn' is not allowed; did you mean 'lstm'? (one of: lstm, gru)"),
        ("data.type=fliker8k", "data.type: 'fliker8k' is not known; did you mean 'flickr8k'?"),
        ("encoder.type=resnet5", "encoder.type: 'resnet5' is not a known encoder; did you mean 'resnet50'?"),
        ("training.metric=cidre", "training.metric: metric 'cidre' is not known; did you mean 'cider'?"),
        ("evaluation.metrics=[blue]", "evaluation.metrics: metric 'blue' is not known; did you mean 'bleu'?"),
        ("decoder.units=many", "decoder.units: input should be a valid integer"),
        ("decoder.units=", "decoder.units: input should be a valid integer"),
        ("decoder.units=0", "decoder.units: input should be greater than or equal to 1 (given: 0)"),
        ("decoder.dropout=1", "decoder.dropout: input should be less than 1 (given: 1)"),
        ("training.learning_rate=nan", "training.learning_rate: input should be a finite number"),
        ("seed=4294967296", "seed: input should be less than 4294967296"),
        ("data=5", "data: a section of keys and values is needed (given: 5)"),
        ("data.root=", "data.root: "),
        ("data.split={dev: 0.6, test: 0.5}", "data.split: dev + test = 1.1 leaves no image to train on"),
        ("decoding={beam_size: 3}", "decoding.type: required"),
    ],
)
def test_one_error_is_one_line(override, said):
    message = error(BASE, override)
    assert said in message
    assert "\n" not in message


def test_a_value_that_fits_no_type_of_a_field_is_one_line():
    message = error(BASE, "encoder.image_size=64.5")
    assert message.startswith("config: encoder.image_size: input should be a valid integer")
    assert "tuple[" not in message
    assert "\n" not in message


def test_all_errors_are_reported_at_once():
    message = error(
        {
            "seed": -1,
            "data": {"type": "folder"},
            "decoder": {"type": "merge", "fusion": "ad", "mode": "init"},
            "training": {"epochs": 0, "metric": "cidr"},
            "encodr": {},
        }
    )
    lines = message.splitlines()
    assert lines[0] == "config has 7 errors:"
    paths = {line.strip().split(":")[0] for line in lines[1:]}
    expected = "seed data.root decoder.fusion decoder.mode training.epochs training.metric encodr"
    assert paths == set(expected.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"(one)": 1}, "config: (one): unknown key (config takes: seed, data, "),
        ({"encoder": {"(several)": 1}}, "config: encoder.(several): unknown key (encoder takes: type, "),
        ({"decoder": {"type": "merge", "merge": 1}}, "config: decoder.merge: unknown key (decoder takes: type, "),
        ({"a\nb": 1}, "config: a\\nb: unknown key"),
        ({"x" * 5000: 1}, f"config: {'x' * 80}: unknown key"),
        ({"encoder": {"type": "y\n" * 5000}}, "config: encoder.type: 'y\\ny"),
    ],
)
def test_any_key_or_value_gives_one_short_line(change, said):
    message = error({**BASE, **change})
    assert message.startswith(said) and "\n" not in message and len(message) < 700


TWO = {**BASE, "encoder": [{"type": "vgg16", "output": "grid"}, {"type": "resnet50", "output": "grid"}]}


def test_several_encoders():
    config = load_config(TWO)
    assert [one.type for one in config.encoders] == ["vgg16", "resnet50"] and not config.trains_encoder
    assert [one.type for one in load_config(BASE).encoders] == ["resnet50"]
    changed = load_config(TWO, ["encoder.1.image_size=256"])
    assert changed.encoders[1].size == (256, 256) and changed.encoders[0] == config.encoders[0]
    assert load_config(changed.model_dump(mode="json")) == changed


@pytest.mark.parametrize(
    ("source", "overrides", "said"),
    [
        (TWO, ["encoder.2.type=vgg16"], "a list of 2 items has indices 0 to 1"),
        (TWO, ["encoder.type=vgg16"], "a list of 2 items has indices 0 to 1"),
        (TWO, ["encoder.0.typ=vgg16"], "encoder.0.typ: unknown key; did you mean 'type'?"),
        (TWO, ["encoder.1.type=vgg61"], "encoder.1.type: 'vgg61' is not a known encoder; did you mean 'vgg1"),
        (TWO, ["encoder.1.output=pooled"], "output"),
        (TWO, ["encoder.0.trainable=true"], "trainable"),
        (TWO, ["encoder=[]"], "encoder"),
        (TWO, ["encoder=[vgg16]"], "encoder.0: a section of keys and values is needed"),
        (TWO, ["features.store=here"], "features.store"),
        (BASE, ["encoder.trainable=true", "training.cached_crops=1"], "training.cached_crops"),
        (BASE, ["encoder.trainable=true", "decoder.standardise=true"], "decoder.standardise"),
        (BASE, ["decoding.type=beam", "decoding.groups=2"], "groups"),
        (BASE, ["decoding={type: beam, rerank: {type: mbr, neighbours: -1}}"], "decoding.rerank.neighbours: "),
        (BASE, ["ensemble=[{run: r, config: coco.yaml, encoders: [1]}]"], "[1]"),
        (BASE, ["ensemble=[{run: r, config: coco.yaml, encoders: []}]"], "[]"),
        (BASE, ["ensemble=[{run: r}]"], "ensemble.0.config: required"),
        (BASE, ["training.flip_word_pairs=[[left]]"], "training.flip_word_pairs"),
    ],
)
def test_errors_with_several_encoders_views_and_groups(source, overrides, said):
    message = error(source, *overrides)
    assert said in message and "\n" not in message.strip()


def test_the_package_exports_load_config():
    assert capsmith.load_config is load_config
    assert capsmith.Config is type(load_config(BASE))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = capsmith.nothing
    assert "train" in dir(capsmith)
