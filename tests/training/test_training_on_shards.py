"""Training on shards gives the numbers of training on the same images in a folder."""

from dataclasses import replace

import pytest

from capsmith.config import load_config
from capsmith.data.records import read_dataset
from capsmith.training.fit import train
from capsmith.training.history import read_csv
from capsmith.vision.extraction import extract
from tests.support import shapes, short
from tests.support.shards import write_parquet, write_tars

CHANGES = {"decoder": {"dropout": 0.2}, "training": {"learning_rate": 0.01}, "evaluation": {"after_training": "test"}}


@pytest.fixture(scope="module")
def folder_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("folder") / "run"
    train(load_config(short.settings(**CHANGES)), run)
    return run


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_the_history_is_that_of_a_folder(folder_run, kind, tmp_path):
    records = read_dataset(load_config(short.settings()).data).records
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        data = write_parquet(tmp_path / "data", records, 30, per_group=7)
    else:
        data = write_tars(tmp_path / "data", records, 30)
    settings = {**short.settings(**CHANGES), "data": data, "features": {"cache": str(tmp_path / "cache")}}
    captioner = train(load_config(settings), tmp_path / "run")
    mine, other = (read_csv(run / "history.csv") for run in (tmp_path / "run", folder_run))
    assert len(mine) == len(other) == 1
    for key in mine[0].keys() - {"seconds"}:
        assert mine[0][key] == pytest.approx(other[0][key], abs=1e-6), key
    assert (tmp_path / "run/report/index.html").exists()
    corpus = read_dataset(captioner.config.data)
    images = [record.path for record in corpus.split("test")[:3]]
    originals = [record.path for record in records if record.split == "test"][:3]
    assert [r.text for r in captioner.caption(images)] == [r.text for r in captioner.caption(originals)]


def test_extraction_notices_changed_members(tmp_path):
    """Nothing is extracted twice, and a changed shard only in part."""
    config = load_config(short.settings())
    records = [record for record in read_dataset(config.data).records if record.split == "test"]
    data = write_tars(tmp_path / "data", records, 12)
    settings = {**short.settings(), "data": {**data, "train": data["test"], "test": None}}
    corpus = read_dataset(load_config(settings).data)
    images = [(record.image_id, record.path) for record in corpus.records]
    features = config.features.model_copy(update={"cache": tmp_path / "cache"})
    store = extract(images, config.encoders[0], features)
    before = (store.path / "manifest.json").stat().st_mtime_ns
    extract(images, config.encoders[0], features)
    assert (store.path / "manifest.json").stat().st_mtime_ns == before
    shapes.draw("red", "bar", "left", 99).resize((40, 40)).save(tmp_path / "other.png")
    write_tars(tmp_path / "data", [replace(records[0], path=tmp_path / "other.png"), *records[1:]], 12)
    again = extract(images, config.encoders[0], features)
    ids = [image_id for image_id, _ in images]
    same = (again.gather(again.rows(ids)) == store.gather(store.rows(ids))).reshape(len(ids), -1).all(axis=1)
    assert same.tolist() == [False] + [True] * (len(ids) - 1)
