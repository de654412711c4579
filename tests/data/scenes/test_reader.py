"""The scenes on disk: drawn once, resumed, and never mixed with those of another config."""

import hashlib
import json
import subprocess
import sys
import time

import pytest
from PIL import Image
from pydantic import ValidationError

from capsmith.core.errors import CapsmithError, DataError
from capsmith.data.records import DATASETS, read_dataset
from capsmith.data.scenes.plan import Scene, split_of
from capsmith.data.scenes.reader import ScenesConfig, build_manifest, read


def config(root, **values):
    return ScenesConfig(root=root, **{"train": 6, "dev": 2, "test": 3, "size": 48, **values})


def contents(root):
    return {path.name: path.read_bytes() for path in (root / "images").iterdir()}


def drawn(root):
    """Returns the complete images; names of temporary files begin with a dot."""
    return list((root / "images").glob("[!.]*.png"))


def test_is_registered_and_reads_by_its_type(tmp_path):
    assert DATASETS.settings["scenes"] is ScenesConfig
    corpus = read_dataset(config(tmp_path))
    assert [len(corpus.split(name)) for name in ("train", "dev", "test")] == [6, 2, 3]
    for record in corpus.records:
        assert len(record.captions) == 5 and record.image_id == record.path.name
        with Image.open(record.path) as image:
            assert image.format == "PNG" and image.mode == "RGB" and image.size == (48, 48)


def test_second_reading_draws_nothing_and_gives_the_same(tmp_path):
    first = read(config(tmp_path))
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert read(config(tmp_path)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps


def test_same_config_elsewhere_gives_the_same_bytes(tmp_path):
    read(config(tmp_path / "a"))
    read(config(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    read(config(tmp_path / "c", seed=1))
    assert not set(contents(tmp_path / "a").values()) & set(contents(tmp_path / "c").values())


def test_manifest_describes_every_image(tmp_path):
    corpus = read(config(tmp_path))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config"] == {"train": 6, "dev": 2, "test": 3, "size": 48, "seed": 0}
    for record, entry in zip(corpus.records, manifest["images"], strict=True):
        assert entry["id"] == record.image_id and tuple(entry["captions"]) == record.captions
        assert entry["scene"]["first"]["colour"] in record.captions[0]


def test_default_splits_hold_out_pairs_but_no_words():
    manifest = build_manifest(ScenesConfig())
    content = json.dumps(manifest["images"]).encode()
    assert hashlib.sha256(content).hexdigest() == "173b02f85783f7561e31cc6425a2ede87d2ce1b079158f4258d91fde732c3e46"
    assert len(manifest["images"]) == 3500
    pairs = {"train": set(), "dev": set(), "test": set()}
    words = {"train": set(), "dev": set(), "test": set()}
    for entry in manifest["images"]:
        words[entry["split"]].update(word for one in entry["captions"] for word in one.split())
        scene = Scene.from_json(entry["scene"])
        pairs[entry["split"]].add(frozenset((t.kind, t.colour) for t in (scene.first, scene.second)))
        assert split_of(scene.first, scene.second) == entry["split"]
    assert not pairs["train"] & pairs["dev"] and not pairs["train"] & pairs["test"] and not pairs["dev"] & pairs["test"]
    assert words["dev"] | words["test"] <= words["train"]


def test_another_config_redraws_and_never_mixes(tmp_path):
    read(config(tmp_path))
    old = contents(tmp_path)
    read(config(tmp_path, seed=5, train=4))
    new = contents(tmp_path)
    assert len(new) == 9 and not set(new.values()) & set(old.values())
    read(config(tmp_path))
    assert contents(tmp_path) == old


@pytest.mark.parametrize("things", ["few", "all"])
def test_a_folder_of_an_earlier_version(tmp_path, things):
    """The images of the same scenes stay; others are redrawn."""
    corpus = read(config(tmp_path))
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["things"] = things
    manifest["pictures"] = manifest.pop("images")
    path.write_text(json.dumps(manifest))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
    assert read(config(tmp_path)) == corpus
    same = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()} == stamps
    assert same == (things == "few")
    assert stamps.keys() == {record.path for record in corpus.records}


def test_missing_images_are_drawn_again(tmp_path):
    read(config(tmp_path))
    whole = contents(tmp_path)
    (tmp_path / "images" / "train_00002.png").unlink()
    (tmp_path / "images" / ".train_00003.png.part").write_bytes(b"half")  # what kill -9 leaves behind
    read(config(tmp_path))
    (tmp_path / "images" / ".train_00003.png.part").unlink()
    assert contents(tmp_path) == whole


def test_goes_on_after_kill(tmp_path):
    settings = config(tmp_path, train=150)
    code = (
        "import pathlib, sys; from capsmith.data.scenes.reader import ScenesConfig, read;"
        "read(ScenesConfig(root=pathlib.Path(sys.argv[1]), train=150, dev=2, test=3, size=48))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(drawn(tmp_path)) < 20:
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in drawn(tmp_path)}
    assert 20 <= len(before) < 155
    corpus = read(settings)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    for record in corpus.records:
        with Image.open(record.path) as image:
            image.load()


def test_limit_draws_only_what_is_needed(tmp_path):
    corpus = read_dataset(config(tmp_path, limit=2))
    assert [record.image_id for record in corpus.split("train")] == ["train_00000.png", "train_00001.png"]
    assert len(contents(tmp_path)) == 6
    assert len(read(config(tmp_path)).records) == len(contents(tmp_path)) == 11


def test_images_of_someone_else_are_left_alone(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "holiday.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="holiday.png"):
        read(config(tmp_path))
    assert contents(tmp_path) == {"holiday.png": b"mine"}


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "coco"}', '{"images": 3}'])
def test_foreign_or_damaged_manifest_is_one_clear_line(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError) as error:
        read(config(tmp_path))
    assert "manifest.json" in str(error.value) and "\n" not in str(error.value)


def test_root_that_is_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "scenes").write_text("")
    with pytest.raises(CapsmithError, match="scenes"):
        read(config(tmp_path / "scenes"))


@pytest.mark.parametrize("values", [{"size": 8}, {"train": 0}, {"images": 9}, {"things": "all"}])
def test_config_bounds(tmp_path, values):
    with pytest.raises(ValidationError):
        config(tmp_path, **values)
