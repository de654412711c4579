"""A captioner learns corrected captions: the new domain rises, the old one stays, and the old model too."""

import hashlib
import json
import shutil

import pytest

from capsmith import Captioner
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.yaml_io import read_yaml
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.metrics import Scorer
from capsmith.training.history import read_csv
from capsmith.training.retraining.corrections import held_out
from capsmith.training.retraining.gain import Gain, read_gain, write_gain
from capsmith.training.retraining.retrain import retrain
from capsmith.training.retraining.settings import base_config, chosen_model, retrain_config
from tests.support import retouched, shapes


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return retouched.make_images(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    """A retraining: its folder, its gain, and the digests of the old run before it."""
    folder, before = tmp_path_factory.mktemp("done"), digests(shapes.trained())
    gain = retrain(
        retouched.corrections(), images, [str(shapes.trained())], folder / "run", folder / "cache", retouched.LEARN
    )
    return folder, gain, before


def test_the_new_domain_rises_and_the_old_one_stays(done):
    folder, gain, _ = done
    assert gain.before["new"]["cider"] < 1 and gain.after["new"]["cider"] > 8
    assert gain.improved and gain.old_loss < 0.05
    assert gain.before["old"]["images"] == 24 and gain.before["new"]["images"] == len(held_out(retouched.corrections()))
    assert read_gain(folder / "run" / "retrain.json").after == gain.after


def test_the_old_model_is_untouched(done):
    assert digests(shapes.trained()) == done[2]


def old_cider(run):
    """Returns the CIDEr of a run on the dev images of the first data."""
    scenes = {f"{'_'.join(scene)}_3.png": list(shapes.captions(*scene)) for scene in shapes.SCENES}
    captions = Captioner.load(run).caption([shapes.data() / "images" / name for name in scenes])
    texts = {name: caption.text for name, caption in zip(scenes, captions, strict=True)}
    return Scorer(scenes, ["cider"]).score(texts)["cider"].value


def test_the_old_domain_is_measured_as_stated(done):
    for run, part in ((shapes.trained(), done[1].before), (done[0] / "run", done[1].after)):
        assert old_cider(run) == pytest.approx(part["old"]["cider"], abs=0.02)


def test_new_words_follow_the_old_ones(done):
    old, new = (Vocabulary.load(run / "vocabulary.json") for run in (shapes.trained(), done[0] / "run"))
    assert new.words[: len(old)] == old.words
    assert sorted(new.words[len(old) :]) == ["golden", "upon", "violet"]
    taught = [text for name, text in retouched.corrections().items() if name not in held_out(retouched.corrections())]
    for word in ("a", "golden", "square"):
        before = old.counts[old.words.index(word)] if word in old.words else 0
        assert new.counts[new.words.index(word)] == before + sum(text.split().count(word) for text in taught)


def test_the_page_shows_both_captions(done):
    page = (done[0] / "run" / "retrain" / "index.html").read_text(encoding="utf-8")
    name = min(held_out(retouched.corrections()))
    assert name in page and f"yours: {retouched.corrections()[name]}" in page and "before: " in page


def test_a_resumed_retraining_gives_the_same_numbers(done, images, tmp_path, monkeypatch):
    """Killed in the middle of epoch 5, with other corrections and another model in the project meanwhile."""
    from capsmith.training import loop

    save = loop.save_state

    def dying(path, model, progress):
        if len(progress["rows"]) == 5:
            raise MemoryError("killed")
        save(path, model, progress)

    monkeypatch.setattr(loop, "save_state", dying)
    run, model = tmp_path / "run", [str(shapes.trained())]
    with pytest.raises(MemoryError):
        retrain(retouched.corrections(), images, model, run, done[0] / "cache", retouched.LEARN)
    monkeypatch.setattr(loop, "save_state", save)
    with pytest.raises(CheckpointError, match="--resume"):
        retrain(retouched.corrections(), images, model, run, done[0] / "cache", retouched.LEARN)
    gain = retrain({}, images, ["nowhere"], run, done[0] / "cache", retouched.LEARN, resume=True)
    assert (gain.before, gain.after) == (done[1].before, done[1].after)
    scores = [[row["dev_cider"] for row in read_csv(path / "history.csv")] for path in (run, done[0] / "run")]
    assert scores[0] == scores[1]


def test_a_second_retraining_rehearses_the_first_model(done, images, tmp_path, log_lines):
    few = dict(list(retouched.corrections().items())[:30])
    gain = retrain(few, images, [str(done[0] / "run")], tmp_path / "run", done[0] / "cache", ("training.epochs=1",))
    assert any(line.startswith("rehearsal: ") and str(shapes.trained()) in line for line in log_lines), log_lines
    assert gain.before["old"]["images"] == 24
    assert len(Vocabulary.load(tmp_path / "run" / "vocabulary.json")) == len(
        Vocabulary.load(done[0] / "run" / "vocabulary.json")
    )


def test_without_the_old_data_it_rehearses_what_it_remembers(done, images, tmp_path, log_lines):
    """The old domain is measured here, not by the retraining, which cannot read its data."""
    model = shutil.copytree(shapes.trained(), tmp_path / "model")
    config = (model / "config.yaml").read_text()
    (model / "config.yaml").write_text(config.replace(str(shapes.data()), str(tmp_path / "gone")))
    cache, found = done[0] / "cache", {}
    for source in ("{}", "null"):
        sets = (*retouched.LEARN, f"training.rehearsal={source}")
        gain = retrain(retouched.corrections(), images, [str(model)], tmp_path / source, cache, sets)
        assert gain.no_old and "old" not in gain.before and gain.improved
        found[source] = old_cider(tmp_path / source)
    assert any("it remembers" in line for line in log_lines), log_lines
    before = old_cider(shapes.trained())
    assert found["{}"] > 0.5 * before > 5 * found["null"]


def test_which_model_learns():
    assert chosen_model(["a"], ()) == "a"
    assert chosen_model(["a", "b"], ("training.transfer_from=c", "seed=1")) == "c"
    with pytest.raises(ConfigError, match="does not say which model"):
        chosen_model([], ("seed=1",))
    with pytest.raises(ConfigError, match="ensemble.*transfer_from=a"):
        chosen_model(["a", "b"], ())


def test_an_ensemble_is_refused(tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "ensemble.yaml").write_text(f"members: [{shapes.trained()}, {shapes.trained()}]\n")
    with pytest.raises(ConfigError, match=r"ensemble.*transfer_from"):
        base_config(str(folder))
    with pytest.raises(CheckpointError, match="nowhere"):
        base_config(str(tmp_path / "nowhere"))


def test_the_config_is_the_model_s_own(tmp_path):
    from capsmith.models.run import RunDirectory

    run = RunDirectory(tmp_path / "run")
    config = retrain_config(str(shapes.trained()), run, tmp_path / "photos", tmp_path / "cache", 60, ("seed=5",))
    old = base_config(str(shapes.trained()))
    assert (config.encoder, config.decoding) == (old.encoder, old.decoding)
    assert config.decoder == old.decoder.model_copy(update={"dropout": min(0.1, old.decoder.dropout)})
    assert config.seed == 5 and config.training.keep_words and config.training.rehearsal is not None
    sizes = [
        retrain_config(str(shapes.trained()), run, tmp_path, tmp_path, n).training.batch_size for n in (10, 100, 900)
    ]
    assert sizes == [8, 20, 40]
    assert config.training.transfer_from == shapes.trained().absolute()
    with pytest.raises(ConfigError, match="keep_wrds"):
        retrain_config(str(shapes.trained()), run, tmp_path, tmp_path, 60, ("training.keep_wrds=1",))


def test_a_model_never_learns_in_place(images, tmp_path):
    model = shutil.copytree(shapes.trained(), tmp_path / "model")
    before = digests(model)
    for resume in (False, True):
        with pytest.raises(ConfigError, match="stays as it is"):
            retrain(retouched.corrections(), images, [str(model)], model, tmp_path / "c", resume=resume)
        with pytest.raises(CheckpointError, match="another model"):
            retrain(retouched.corrections(), images, [str(shapes.trained())], model, tmp_path / "c", resume=resume)
    assert digests(model) == before


def test_gain_survives_a_file(tmp_path):
    gain = Gain("starter", 12, 20, {"new": {"cider": 0.1, "images": 4}}, {"new": {"cider": 0.05, "images": 4}})
    write_gain(tmp_path / "g.json", gain)
    assert read_gain(tmp_path / "g.json") == gain
    assert not gain.improved and gain.old_loss is None and "keep the old model" in [*gain.lines()][-1]
    gain.before["old"], gain.after["old"] = {"cider": 0.5, "images": 9}, {"cider": 0.48, "images": 9}
    assert gain.old_loss == pytest.approx(0.04)
    for damage in ({"format": 2}, {"before": {"new": {}}}, {"model": 3}):
        (tmp_path / "g.json").write_text(
            json.dumps({"format": 1, "model": "m", "corrections": 1, "epochs": 1, **damage})
        )
        with pytest.raises(CheckpointError, match="damaged"):
            read_gain(tmp_path / "g.json")


def test_the_run_s_config_names_its_snapshot(done):
    data = read_yaml(done[0] / "run" / "config.yaml")["data"]
    assert data["captions"] == str(done[0] / "run" / "corrections.jsonl")
