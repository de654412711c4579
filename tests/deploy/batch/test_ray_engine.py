"""Ray's engine computes what the local one does, survives dead workers, and reports mistakes in one line."""

import os
import signal
import threading
import time
from functools import partial

import pytest

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.batch.engines import engine_named
from capsmith.deploy.batch.inputs import plan_input
from capsmith.deploy.batch.job import run_job
from capsmith.deploy.search import build_index
from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import ToyVectorWork, make_photos, stored
from tests.support.toy_work import ToyWork, make_images

ray = pytest.importorskip("ray")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two workers, which the engine uses as it finds it."""
    from capsmith.deploy.batch import ray_engine

    with ray_engine._cluster(ray, 2, 1):
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return folder, make_images(folder, 40)


def run(images, output, engine="ray", **fault):
    folder, _ = images
    plan = partial(plan_input, address=str(folder), per_block=2)
    return run_job(ToyWork(**fault), str(folder), str(output), plan, engine_named(engine, 2 if engine == "ray" else 1))


def test_shards_equal_those_of_the_local_engine(cluster, images, tmp_path):
    reports = [run(images, tmp_path / engine, engine) for engine in ("local", "ray")]
    assert [(report.blocks, report.rows, report.images) for report in reports] == [(20, 40, 40)] * 2
    names = sorted(path.name for path in (tmp_path / "local" / "shards").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "ray" / "shards").iterdir())
    for name in names:
        one, other = (parquet.read_table(tmp_path / engine / "shards" / name) for engine in ("local", "ray"))
        assert one.equals(other, check_metadata=True)


def test_killed_workers_lose_nothing(cluster, images, tmp_path):
    pids, killed = tmp_path / "pids", set()
    pids.mkdir()

    def kill():
        while len(killed) < 3:
            for path in pids.iterdir():
                time.sleep(0.4)
                if path.name not in killed and len(killed) < 3:
                    killed.add(path.name)
                    os.kill(int(path.name), signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    report = run(images, tmp_path / "out", seconds=0.25, pids=str(pids))
    thread.join(1)
    assert len(killed) == 3 and len(list(pids.iterdir())) > 3
    assert report.rows == 40
    table = parquet.read_table(tmp_path / "out" / "shards")
    assert dict(zip(*table.to_pydict().values(), strict=True)) == images[1] and table.num_rows == 40


def test_an_index_by_ray_is_that_of_this_process(cluster, tmp_path, monkeypatch):
    photos = make_photos(tmp_path / "photos")
    (photos / "note.png").write_text("buy milk")
    monkeypatch.setattr("capsmith.deploy.search.build.VectorWork", ToyVectorWork)
    monkeypatch.setattr("capsmith.deploy.batch.plan.block_size", lambda images: 2)
    build_index(photos, tmp_path / "plain", ToyEmbedder())
    report = build_index(photos, tmp_path / "ray", ToyEmbedder(), engine="ray", workers=2, runs=["run"])
    assert (report.new, len(report.failed)) == (8, 1) and stored(tmp_path / "ray") == stored(tmp_path / "plain")


@pytest.mark.parametrize(("fault", "text"), [("load", "export it again"), ("block", "no space left")])
def test_a_mistake_is_one_line(cluster, images, tmp_path, fault, text):
    with pytest.raises(CapsmithError, match=text) as caught:
        run(images, tmp_path / "out", fault=fault, image="a/010.png")
    assert "\n" not in str(caught.value)


def test_a_block_that_kills_every_worker_ends_the_job(cluster, images, tmp_path):
    with pytest.raises(CapsmithError, match="workers died of block 5 ") as caught:
        run(images, tmp_path / "out", fault="kill", image="a/020.png")
    assert "\n" not in str(caught.value)
    assert run(images, tmp_path / "out").rows == 40  # tried anew after the cause was removed


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch, images, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(CapsmithError, match="RAY_ADDRESS"):
        run(images, tmp_path / "out")


def test_more_workers_than_this_machine_can_have_are_refused_at_once(monkeypatch, images, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("started"))
    folder, _ = images
    plan = partial(plan_input, address=str(folder), per_block=2)
    with pytest.raises(ConfigError, match="--workers 10000"):
        run_job(ToyWork(), str(folder), str(tmp_path / "out"), plan, engine_named("ray", 10_000))
