"""Ray's engine computes what the local one does, survives dead workers, and reports mistakes in one line."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from capsmith.core.errors import CapsmithError, ConfigError
from capsmith.deploy.batch.engines import engine_named
from capsmith.deploy.batch.inputs import plan_input
from capsmith.deploy.batch.job import run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.ray_engine import Actor
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


def test_a_mistake_is_one_line(cluster, images, tmp_path):
    with pytest.raises(CapsmithError, match="no space left") as caught:
        run(images, tmp_path / "out", fault="block", image="a/010.png")
    assert "\n" not in str(caught.value)


def planned(images, output):
    plan_input(Place(output), str(images[0]), per_block=2)
    return {"data": np.arange(4, 8)}


@pytest.mark.parametrize(("fault", "text"), [("load", "export it again"), ("bug", "RuntimeError: shapes differ")])
def test_an_error_is_a_row_and_ends_the_group(images, tmp_path, fault, text):
    blocks = planned(images, tmp_path)
    worker = Actor(ToyWork(fault=fault, image="a/020.png"), str(tmp_path), 1, "elsewhere")
    rows = [{name: value.item() for name, value in row.items()} for row in worker(blocks)]
    assert [row["block"] for row in rows if not row["error"]] == ([] if fault == "load" else [4])
    assert text in rows[-1]["error"] and "\n" not in rows[-1]["error"] and socket.gethostname() in rows[-1]["error"]


def test_a_host_without_the_folder_of_the_job_says_so(images, tmp_path):
    (row,) = Actor(ToyWork(), str(tmp_path / "elsewhere"), 1)({"data": np.arange(3)})
    assert str(tmp_path / "elsewhere") in row["error"].item() and not (tmp_path / "elsewhere").exists()


def test_a_model_that_kills_every_worker_ends_the_job(images, tmp_path):
    blocks, attempts = planned(images, tmp_path), tmp_path / "attempts"
    for _ in range(5):
        assert not [row for row in Actor(ToyWork(), str(tmp_path), 1)(blocks) if row["error"].item()]
        process = multiprocessing.get_context("fork").Process(
            target=Actor, args=(ToyWork(fault="die"), str(tmp_path), 1)
        )
        process.start()
        process.join()
        assert len(list(attempts.iterdir())) == 1
    for number in range(4):
        shutil.copy(next(attempts.iterdir()), attempts / f"loading-{socket.gethostname()}-{2**22 + number + 1}")
    (row,) = Actor(ToyWork(), str(tmp_path), 1)(blocks)
    assert "5 workers died" in row["error"].item()


@pytest.mark.slow  # each death takes seconds
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


def test_a_package_that_hosts_lack_is_one_line(cluster, images, tmp_path, monkeypatch):
    module = types.ModuleType("only_at_the_driver")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.Work = type("Work", (ToyWork,), {"__module__": module.__name__, "__qualname__": "Work"})
    plan = partial(plan_input, address=str(images[0]), per_block=2)
    with pytest.raises(CapsmithError, match="only_at_the_driver") as caught:
        run_job(module.Work(), str(images[0]), str(tmp_path / "out"), plan, engine_named("ray", 2))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_hosts_with_too_few_cores_are_one_line(cluster, images, tmp_path):
    plan = partial(plan_input, address=str(images[0]), per_block=2)
    with pytest.raises(ConfigError, match="--threads 64"):
        run_job(ToyWork(), str(images[0]), str(tmp_path / "out"), plan, engine_named("ray", 2, threads=64))


def test_relative_folders_and_the_end_of_a_cluster(images, tmp_path):
    """In a process of its own: after an error nothing is left of Ray, and nothing of it is printed."""
    code = """if True:
    import psutil
    from functools import partial
    from capsmith.deploy.batch.engines import engine_named
    from capsmith.deploy.batch.inputs import plan_input
    from capsmith.deploy.batch.job import run_job
    from tests.support.toy_work import ToyWork
    plan = partial(plan_input, address="images", per_block=8)
    try:
        run_job(ToyWork(fault="block", image="b/039.png"), "images", "out", plan, engine_named("ray", 1))
    except Exception as error:
        print(error)
    print([child.name() for child in psutil.Process().children(recursive=True)])"""
    os.symlink(images[0], tmp_path / "images")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])  # for the toy work
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["no space left on the disk", "[]"]
    assert len(list((tmp_path / "out" / "shards").iterdir())) == 4
    assert not [line for line in done.stderr.splitlines() if "pid=" in line or "Traceback" in line or "***" in line]


def test_more_workers_than_this_machine_can_have_are_refused_at_once(monkeypatch, images, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("started"))
    folder, _ = images
    plan = partial(plan_input, address=str(folder), per_block=2)
    with pytest.raises(ConfigError, match="--workers 10000"):
        run_job(ToyWork(), str(folder), str(tmp_path / "out"), plan, engine_named("ray", 10_000))
