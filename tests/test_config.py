from pathlib import Path

import pytest
import yaml

import capsmith
from capsmith.config import difference, find_config, load_config, run_config, save_config
from capsmith.core import config_files
from capsmith.core.errors import CheckpointError, ConfigError

OURS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
BASE = {"data": {"type": "folder", "root": "images"}, "decoder": {"type": "inject"}}
TEXT = "data: {type: folder, root: images}\ndecoder: {type: inject}\n"


def written(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def error(source, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_commented(path):
    config = load_config(path)
    assert path.read_text().startswith("# ")
    assert config.training.metric in ("cider", "bleu4")


def test_there_are_shipped_configs():
    assert {"quickstart", "flickr8k", "flickr30k", "coco", "folder"} <= {path.stem for path in OURS}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_saved_and_loaded_is_the_same(path, tmp_path):
    where = "encoder.1" if isinstance(load_config(path).encoder, tuple) else "encoder"
    config = load_config(
        path, [f"{where}.image_size=[96, 128]", "data.root=größe/图片", "training.learning_rate=3e-05"]
    )
    save_config(config, tmp_path / "run" / "config.yaml")
    assert load_config(tmp_path / "run" / "config.yaml") == config
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert saved["decoder"]["units"] == config.decoder.units
    assert saved["evaluation"]["batch_size"] == 128  # every default is written out


@pytest.mark.parametrize("name", ["1e3", "0E0", "12_0e-4", "no", "1.5", "2024-01-01", "a\x85b", "a: b", "null"])
def test_names_that_look_like_something_else_are_saved_as_names(name, tmp_path):
    config = load_config({**BASE, "data": {"type": "folder", "root": name}})
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml").data.root == Path(name)


@pytest.mark.parametrize("name", ["flickr8k.yaml", "flickr8k"])
def test_a_bare_name_is_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name).data.type == "flickr8k"


def test_a_file_here_comes_before_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "flickr8k.yaml").write_text(TEXT)
    assert find_config("flickr8k") == Path("configs/flickr8k.yaml")
    (tmp_path / "flickr8k.yaml").write_text(TEXT)
    assert find_config("flickr8k") == Path("flickr8k.yaml")


@pytest.fixture
def fresh_notes():
    config_files._note.cache_clear()


def test_which_of_two_configs_of_one_name_is_told_once(tmp_path, monkeypatch, capsys, fresh_notes):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "flickr8k.yaml"
    mine.write_text(TEXT)
    for _ in range(2):
        assert find_config("flickr8k.yaml") == Path("flickr8k.yaml")
    said = capsys.readouterr().err
    assert said.count("note: ") == 1 and f"flickr8k.yaml is {mine}, not " in said
    assert said.rstrip().endswith("a path says which of the two")


@pytest.mark.parametrize("name", ["./flickr8k.yaml", "{}/flickr8k.yaml"])
def test_a_path_means_that_file_and_nothing_is_told(name, tmp_path, monkeypatch, capsys, fresh_notes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flickr8k.yaml").write_text(TEXT)
    assert load_config(name.format(tmp_path)).data.type == "folder"
    assert not capsys.readouterr().err


def test_the_same_config_twice_is_not_told(tmp_path, monkeypatch, capsys, fresh_notes):
    ours = find_config("flickr8k.yaml").read_bytes()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flickr8k.yaml").write_bytes(ours)
    find_config("flickr8k.yaml")
    assert not capsys.readouterr().err


def test_an_installed_package_brings_them_along(tmp_path, monkeypatch):
    """The wheel holds them in capsmith/configs."""
    package = tmp_path / "site-packages" / "capsmith"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "special.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_files, "__file__", str(package / "core" / "config_files.py"))
    assert load_config("special").data.type == "folder"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "nothing", "no/such.yaml", "configs"])
def test_no_such_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert error(name).startswith("no config")


def test_no_such_config_names_the_nearest():
    assert "did you mean 'quickstart.yaml'?" in error("quickstrat.yaml")


# --- YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1.0e-3", 1e-3), ("1E-3", 1e-3), ("+2e-3", 2e-3), (".001", 1e-3), ("5e-4", 5e-4)],
)
def test_numbers_as_people_write_them(tmp_path, text, value):
    path = written(tmp_path, TEXT + f"training: {{learning_rate: {text}}}\n")
    assert load_config(path).training.learning_rate == pytest.approx(value)
    assert load_config(BASE, [f"training.learning_rate={text}"]).training.learning_rate == pytest.approx(value)


def test_names_that_look_like_numbers_stay_names(tmp_path):
    assert load_config(BASE, ["data.captions=1e3x.csv"]).data.captions == Path("1e3x.csv")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + TEXT.encode(), TEXT.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends(tmp_path, content):
    assert load_config(written(tmp_path, content)) == load_config(BASE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "a config is a mapping"),
        ("- a\n", "a config is a mapping"),
        (b"\xff\xfe\x00", "is not UTF-8 text (byte 0)"),
        (TEXT + "no: 1\n", "line 3: not valid YAML: the key 'no' is read as False; put it in quotes"),
        (TEXT + "1: 1\n", "line 3: not valid YAML: the key '1' is read as 1"),
        (TEXT + "seed: 1\nseed: 2\n", "line 4: not valid YAML: the key 'seed' stands twice"),
        ("data: {root: a, root: b}\n", "line 1: not valid YAML: the key 'root' stands twice"),
        ("data: [1\n", "not valid YAML"),
        ("data: a: b\n", "line 1: not valid YAML"),
        ("\tdata: 1\n", "line 1: not valid YAML"),
        ("a: !!python/object/apply:os.system [x]\n", "line 1: not valid YAML: could not determine a constructor"),
        ("a: !thing 1\n", "line 1: not valid YAML: could not determine a constructor"),
        ("a: !!int x\n", "invalid literal"),
        ("a: 2024-13-45\n", "month must be in 1..12"),
        ("a: " + "[" * 5000, "nested too deep"),
        ("a: \0\n", "not valid YAML"),
        (TEXT + "---\nb: 1\n", "not valid YAML"),
        ("a: *b\n", "undefined alias"),
    ],
)
def test_yaml_that_cannot_be_a_config(tmp_path, content, said):
    message = error(written(tmp_path, content))
    assert said in message
    assert "mine.yaml" in message
    assert "\n" not in message


def test_a_tag_runs_nothing(tmp_path):
    path = written(tmp_path, f"a: !!python/object/apply:pathlib.Path.touch ['{tmp_path}/ran']\n")
    error(path)
    error(BASE, f"seed=!!python/object/apply:os.mkdir ['{tmp_path}/ran']")
    assert not (tmp_path / "ran").exists()


def test_home_is_opened(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = load_config(BASE, ["data.root=~/images", "decoder.embedding.vectors=~/glove.txt"])
    assert config.data.root == Path("/home/someone/images")
    assert config.decoder.embedding.vectors == Path("/home/someone/glove.txt")


# --- what is said of mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("decoder.untis=5", "decoder.untis: unknown key; did you mean 'units'?"),
        ("trainign.epochs=5", "trainign: unknown key; did you mean 'training'?"),
        ("decoder.embedding.siz=5", "decoder.embedding.siz: unknown key; did you mean 'size'?"),
        ("decoder.type=injct", "decoder.type: 'injct' is not known; did you mean 'inject'? (one of: merge, inject, "),
        ("decoder.cell=lstn", "decoder.cell: 'lstn' is not allowed; did you mean 'lstm'? (one of: lstm, gru)"),
        ("data.type=fliker8k", "data.type: 'fliker8k' is not known; did you mean 'flickr8k'?"),
        ("encoder.type=resnet5", "encoder.type: 'resnet5' is not known; did you mean 'resnet50'?"),
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
        ("decoding={beam_size: 3}", "decoding.type: required, but not given"),
    ],
)
def test_one_mistake_is_one_line(override, said):
    message = error(BASE, override)
    assert said in message
    assert "\n" not in message


def test_a_value_of_none_of_a_field_s_types_is_one_line():
    message = error(BASE, "encoder.image_size=64.5")
    assert message.startswith("config: encoder.image_size: input should be a valid integer")
    assert "tuple[" not in message
    assert "\n" not in message


def test_all_mistakes_are_told_at_once():
    message = error(
        {
            "seed": -1,
            "data": {"type": "folder"},
            "decoder": {"type": "merge", "join": "ad", "mode": "init"},
            "training": {"epochs": 0, "metric": "cidr"},
            "encodr": {},
        }
    )
    lines = message.splitlines()
    assert lines[0] == "config has 7 errors:"
    paths = {line.strip().split(":")[0] for line in lines[1:]}
    expected = "seed data.root decoder.join decoder.mode training.epochs training.metric encodr"
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
def test_keys_and_values_of_any_name_and_length_give_one_short_line(change, said):
    message = error({**BASE, **change})
    assert message.startswith(said) and "\n" not in message and len(message) < 700


# --- --set -----------------------------------------------------------------------------------------------------------


def test_set_changes_one_key_and_leaves_the_rest():
    config = load_config(BASE, ["decoder.units=7", "decoder.embedding.size=3", "training.clip_norm=null"])
    assert (config.decoder.units, config.decoder.embedding.size, config.training.clip_norm) == (7, 3, None)
    assert config.decoder.type == "inject"
    assert config.data == load_config(BASE).data
    assert BASE["decoder"] == {"type": "inject"}  # what was given is not touched


def test_the_last_of_two_wins():
    assert load_config(BASE, ["seed=3", "seed=4"]).seed == 4


def test_a_long_list_is_no_bomb(tmp_path):
    """Sixteen thousand names of images, written out; as few characters that stand for as many values are refused."""
    groups = "".join(f"    - [a{n}.jpg, b{n}.jpg]\n" for n in range(8000))
    folder = "  type: folder\n  root: x\n  split:\n    groups:"
    path = written(tmp_path, f"decoder: {{type: inject}}\ndata:\n{folder}\n{groups}")
    assert len(load_config(path).data.split.groups) == 8000
    rows = ["a: &a [" + ", ".join("0" * 100) + "]"]
    rows += [f"{name}: &{name} [{', '.join(['*' + before] * 100)}]" for before, name in ("ab", "bc")]
    assert "more than 10,000 values" in error(written(tmp_path, "\n".join(rows)))


def test_values_may_hold_equal_signs_and_commas():
    config = load_config(BASE, ["data.root=a=b,c", "evaluation.metrics=[bleu, rouge]"])
    assert config.data.root == Path("a=b,c")
    assert config.evaluation.metrics == ("bleu", "rouge")


def test_another_type_drops_what_it_does_not_take():
    beam = {**BASE, "decoding": {"type": "beam", "beam_size": 4, "max_length": 9}}
    greedy = load_config(beam, ["decoding.type=greedy"])
    assert greedy.decoding.model_dump() == {"type": "greedy", "max_length": 9, "min_length": 1, "no_repeat": 0}
    sample = load_config(beam, ["decoding.type=sample", "decoding.top_k=3"]).decoding
    assert (sample.type, sample.top_k, sample.max_length) == ("sample", 3, 9)
    same = load_config(beam, ["decoding.type=beam"])
    assert same.decoding.beam_size == 4
    merge = load_config({**BASE, "decoder": {"type": "inject", "mode": "par", "units": 3}}, ["decoder.type=merge"])
    assert (merge.decoder.type, merge.decoder.units) == ("merge", 3)
    scenes = load_config({**BASE, "data": {"type": "folder", "root": "x", "captions": "c.csv"}}, ["data.type=scenes"])
    assert (scenes.data.type, scenes.data.root) == ("scenes", Path("x"))


def test_a_key_of_the_new_type_may_come_first():
    assert load_config(BASE, ["decoding.beam_size=7", "decoding.type=beam"]).decoding.beam_size == 7


def test_a_key_of_the_old_type_after_a_new_type_is_a_mistake():
    beam = {**BASE, "decoding": {"type": "beam"}}
    assert "decoding.beam_size: unknown key" in error(beam, "decoding.type=greedy", "decoding.beam_size=3")


@pytest.mark.parametrize("override", ["a", "=3", "a..b=1", ".=1", "seed", ""])
def test_set_without_key_and_value(override):
    assert error(BASE, override).endswith("write it as section.key=value")


@pytest.mark.parametrize("value", ["[", "2024-13-45", "!!int x", "'", "9" * 5000, "[" * 5000])
def test_set_of_what_yaml_cannot_read(value):
    message = error(BASE, f"seed={value}")
    assert message.endswith("the value is not valid YAML")
    assert len(message) < 200


def test_set_below_a_value():
    assert "root is not a section" in error(BASE, "data.root.deeper=5")


TWO = {**BASE, "encoder": [{"type": "vgg16", "output": "grid"}, {"type": "resnet50", "output": "grid"}]}


def test_several_encoders():
    config = load_config(TWO)
    assert [one.type for one in config.encoders] == ["vgg16", "resnet50"] and not config.trains_encoder
    assert [one.type for one in load_config(BASE).encoders] == ["resnet50"]
    changed = load_config(TWO, ["encoder.1.image_size=256"])
    assert changed.encoders[1].size == (256, 256) and changed.encoders[0] == config.encoders[0]
    assert load_config(changed.model_dump(mode="json")) == changed
    assert difference(config, changed, set()) == "encoder.1.image_size: None, now 256"
    assert difference(config, changed, set(), {"encoder.image_size"}) == ""
    assert difference(config, load_config(BASE), set()).startswith("encoder.0.type: vgg16, now None")


@pytest.mark.parametrize(
    ("source", "overrides", "said"),
    [
        (TWO, ["encoder.2.type=vgg16"], "a list of 2 has places 0 to 1"),
        (TWO, ["encoder.type=vgg16"], "a list of 2 has places 0 to 1, not 'type'"),
        (TWO, ["encoder.0.typ=vgg16"], "encoder.0.typ: unknown key; did you mean 'type'?"),
        (TWO, ["encoder.1.type=vgg61"], "encoder.1.type: 'vgg61' is not known; did you mean 'vgg1"),
        (TWO, ["encoder.1.output=pooled"], "give all the same output"),
        (TWO, ["encoder.0.trainable=true"], "trainable takes a single one"),
        (TWO, ["encoder=[]"], "an empty list names no encoder"),
        (TWO, ["encoder=[vgg16]"], "encoder.0: a section of keys and values is needed"),
        (TWO, ["features.store=here"], "features.store is one store"),
        (BASE, ["encoder.trainable=true", "training.views=1"], "training.views are views for frozen encoders"),
        (BASE, ["encoder.trainable=true", "decoder.standardise=true"], "decoder.standardise is for features of frozen"),
        (BASE, ["decoding.type=beam", "decoding.groups=2"], "cannot be split into 2 groups"),
        (BASE, ["decoding.type=consensus", "decoding.neighbours=-1"], "decoding.neighbours: "),
        (BASE, ["ensemble=[{run: r, config: coco.yaml, encoders: [1]}]"], "r asks for encoders [1]; there are 1"),
        (BASE, ["ensemble=[{run: r, config: coco.yaml, encoders: []}]"], "r asks for encoders []; there are 1"),
        (BASE, ["ensemble=[{run: r}]"], "ensemble.0.config: required, but not given"),
        (BASE, ["training.mirror_words=[[left]]"], "training.mirror_words"),
    ],
)
def test_mistakes_with_several_encoders_views_and_groups(source, overrides, said):
    message = error(source, *overrides)
    assert said in message and "\n" not in message.strip()


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    save_config(load_config(BASE), tmp_path / "run" / "config.yaml")
    return tmp_path / "run"


def test_a_run_s_config_and_what_may_be_changed(run):
    assert run_config(run) == load_config(BASE)
    changes = ["decoding.type=beam", "data.root=elsewhere", "features.cache=there", "evaluation.metrics=[bleu]"]
    assert run_config(run, [*changes, "encoder.weights=moved.weights.h5"]) == load_config(
        BASE, [*changes, "encoder.weights=moved.weights.h5"]
    )


@pytest.mark.parametrize(
    "override",
    ["decoder.units=3", "text.lowercase=false", "encoder.layer=x", "training.epochs=3", "decoder.type=merge"],
)
def test_what_the_model_was_trained_with_stays(run, override):
    with pytest.raises(ConfigError, match="--set cannot change what .* was trained with") as caught:
        run_config(run, [override])
    assert override.split("=")[0] in str(caught.value)


def test_a_damaged_run_is_a_damaged_checkpoint(run):
    (run / "config.yaml").write_text("seed: 1\nmade: by hand\n")
    with pytest.raises(CheckpointError, match="cannot be used") as caught:
        run_config(run)
    assert "\n" not in str(caught.value)


def test_difference_names_the_first_key():
    before = load_config(BASE)
    assert difference(before, before, set()) == ""
    now = load_config(BASE, ["decoder.units=3", "seed=9"])
    assert difference(before, now, set()) == "seed: 1, now 9"
    assert difference(before, now, {"seed"}) == "decoder.units: 512, now 3"
    assert difference(before, now, {"seed"}, {"decoder.units"}) == ""
    other = load_config(BASE, ["data.type=scenes"])
    assert difference(before, other, set()).startswith("data.type: folder, now scenes")


def test_the_package_offers_it():
    assert capsmith.load_config is load_config
    assert capsmith.Config is type(load_config(BASE))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = capsmith.nothing
    assert "train" in dir(capsmith)
