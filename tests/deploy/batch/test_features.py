"""Features in shards equal those of one process, and training finds them; killed and damaged jobs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from capsmith.config import load_config
from capsmith.core.errors import CapsmithError, ConfigError, FeatureError
from capsmith.deploy.batch.features import FeatureWork, in_shards
from capsmith.training.extract import extract
from capsmith.vision.extraction import store_fingerprint
from capsmith.vision.store import FeatureStore
from tests.support import shapes

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Two blocks of the 120 images."""
    monkeypatch.setattr("capsmith.deploy.batch.features.block_size", lambda images: 64)


@pytest.fixture(params=["pooled", "grid"])
def values(request, tmp_path):
    """A config of its own copy of the images."""
    data = shapes.make_data(tmp_path / "data")
    return shapes.settings(
        data={"root": str(data)},
        encoder={"output": request.param},
        features={"cache": str(tmp_path / "shards"), "batch_size": 32, "max_bad_fraction": 0.2},
    )


def plain(values, tmp_path):
    """The features of one process, as the independent truth."""
    return extract(load_config({**values, "features": {**values["features"], "cache": str(tmp_path / "plain")}}))


def sharded(values):
    return extract(load_config(values), in_shards("local", 2))


def features(store):
    return {id: store.gather(store.rows([id]))[0] for id in sorted(store.ids)}


def test_shards_hold_the_features_of_one_process(values, tmp_path):
    one, other = plain(values, tmp_path), sharded(values)
    assert one.ids == other.ids and len(one.ids) == 120
    assert (one.shape, one.dtype, one.fingerprint) == (other.shape, other.dtype, other.fingerprint)
    rows = np.random.default_rng(0).integers(0, 120, 300)
    np.testing.assert_array_equal(other.gather(rows), one.gather(rows))
    assert len(list(other.path.glob("job-000/shards/*.npy"))) == 2
    again = extract(load_config(values))  # what training opens
    np.testing.assert_array_equal(again.gather(rows), one.gather(rows))


def test_new_changed_and_unreadable_images_are_another_job(values, tmp_path):
    sharded(values).close()
    root = Path(values["data"]["root"])
    first, second, third = sorted((root / "images").iterdir())[:3]
    Image.new("RGB", (64, 64), (9, 200, 9)).save(first)
    second.write_bytes(b"%PDF-1.4 is no image" * 9)
    Image.new("RGB", (50, 50)).save(root / "images" / "new.png")
    with (root / "captions.csv").open("a") as file:
        file.write("new.png,a black square,train\n")
    with pytest.raises(FeatureError, match="--engine"):
        extract(load_config(values))
    one, other = plain(values, tmp_path), sharded(values)
    assert set(one.ids) == set(other.ids) and second.name not in other and "new.png" in other
    assert other.missing.keys() == one.missing.keys() == {second.name}
    for id, value in features(one).items():
        np.testing.assert_allclose(features(other)[id], value, atol=1e-5)
    assert len(list(other.path.glob("job-001/shards/*.npy"))) == 1


def test_an_image_repaired_after_an_interrupted_job_is_read_again(tmp_path):
    """A job that is not in the manifest yet says nothing about files that were repaired or moved after it."""
    data = shapes.make_data(tmp_path / "data")
    settings = {"cache": str(tmp_path / "shards"), "store": str(tmp_path / "shards" / "store"), "batch_size": 32}
    values = shapes.settings(data={"root": str(data)}, features=settings)
    images = sorted((data / "images").iterdir())
    content = {path: path.read_bytes() for path in images[:40]}
    for path in content:
        path.write_bytes(b"%PDF-1.4 is no image" * 9)
    with pytest.raises(FeatureError, match="max_bad_fraction"):
        sharded(values)
    for path, original in content.items():
        path.write_bytes(original)
    assert len(sharded(values).ids) == 120

    shutil.rmtree(tmp_path / "shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("capsmith.deploy.batch.job._compute", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sharded(values)
    data.rename(tmp_path / "moved")
    assert len(sharded(shapes.settings(data={"root": str(tmp_path / "moved")}, features=settings)).ids) == 120


def test_jobs_without_readable_images_are_not_added_twice(tmp_path):
    data = shapes.make_data(tmp_path / "data")
    settings = {"cache": str(tmp_path / "shards"), "batch_size": 32, "max_bad_fraction": 0.2}
    values = shapes.settings(data={"root": str(data)}, features=settings)
    sharded(values).close()
    image = sorted((data / "images").iterdir())[0]
    for content in (b"%PDF-1.4 is no image" * 9, None, b"%PDF-1.4 is no image" * 8):  # a broken one fills no shard
        if content is None:
            Image.new("RGB", (64, 64), (9, 200, 9)).save(image)
        else:
            image.write_bytes(content)
        store = sharded(values)
        names = [shard["name"] for shard in json.loads((store.path / "manifest.json").read_text())["shards"]]
        assert len(names) == len(set(names)) and (image.name in store) == (content is None)
        store.close()


def test_a_killed_job_goes_on(tmp_path):
    values = shapes.settings(features={"cache": str(tmp_path / "shards"), "batch_size": 4})
    code = (
        "import sys, time, yaml; import capsmith.deploy.batch.work as work; write = work.write_shard\n"
        "work.write_shard = lambda *args: (write(*args), time.sleep(60))\n"
        "import capsmith.deploy.batch.features as features; features.block_size = lambda images: 64\n"
        "from tests.deploy.batch.test_features import sharded; sharded(yaml.safe_load(sys.stdin))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
    import yaml

    process.stdin.write(yaml.safe_dump(values))
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not (found := list(tmp_path.glob("shards/*/job-000/shards/00000000.parquet"))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.utime(found[0], (1, 1))
    one, other = plain(values, tmp_path), sharded(values)
    assert found[0].stat().st_mtime == 1 and one.ids == other.ids
    for id, value in features(one).items():
        np.testing.assert_array_equal(features(other)[id], value)


def test_a_store_of_one_process_is_not_continued_in_shards(values, tmp_path):
    extract(load_config(values)).close()
    assert len(sharded(values).ids) == 120  # nothing is missing
    next((Path(values["data"]["root"]) / "images").iterdir()).write_bytes(b"%PDF-1.4 is no image" * 9)
    with pytest.raises(FeatureError, match="--engine"):
        sharded(values)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other", "object"])
def test_damaged_shards_are_one_line(tmp_path, damage):
    values = shapes.settings(features={"cache": str(tmp_path / "shards"), "batch_size": 32})
    store = sharded(values)
    store.close()
    path = store.path / "job-000" / "shards" / "00000001.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "other":
        np.save(path, np.zeros((56, 3), np.float32))
    else:
        np.save(path, np.array([{}] * 56), allow_pickle=True)
    with pytest.raises(FeatureError, match=r"00000001\.npy") as caught:
        opened = FeatureStore.open(store.path)
        opened.gather(opened.rows(opened.ids[-1:]))
    assert "\n" not in str(caught.value)


def test_a_manifest_cannot_name_other_files(tmp_path):
    values = shapes.settings(features={"cache": str(tmp_path / "shards"), "batch_size": 32})
    store = sharded(values)
    store.close()
    manifest = store.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("job-000/shards", "../../etc"))
    with pytest.raises(FeatureError, match=r"manifest\.json"):
        FeatureStore.open(store.path)


def test_too_many_unreadable_images_are_one_line(values, tmp_path):
    for path in (Path(values["data"]["root"]) / "images").iterdir():
        path.write_bytes(b"%PDF-1.4 is no image" * 9)
    with pytest.raises(FeatureError, match="max_bad_fraction"):
        sharded(values)


def test_what_cannot_be_sharded_is_refused(tmp_path):
    with pytest.raises(CapsmithError, match="trainable"):
        sharded(shapes.settings(encoder={"trainable": True}))
    pickle = shapes.settings(features={"store": str(tmp_path / "features.pkl")})
    (tmp_path / "features.pkl").write_bytes(b"")
    with pytest.raises(CapsmithError, match="pickle"):
        sharded(pickle)
    with pytest.raises(ConfigError, match="spark"):
        in_shards("spark")


def test_a_worker_with_other_weights_computes_nothing(values):
    encoder = load_config(values).encoders[0]
    expected = store_fingerprint(encoder, 0)
    FeatureWork(encoder, "float32", 8, expected).open(1)
    with pytest.raises(FeatureError, match="weights"):
        FeatureWork(encoder, "float32", 8, expected | {"weights": "sha256:0"}).open(1)


@pytest.mark.parametrize("key", ["store", "cache"])
def test_remote_features_are_refused(key):
    with pytest.raises(ConfigError, match=rf"features.{key}: .*s3://bucket/features"):
        load_config(shapes.settings(features={key: "s3://bucket/features"}))
