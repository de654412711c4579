"""A sharded job computes every image once, resumes, and refuses what does not fit. Shards are read with pyarrow."""

import json
import os
import shutil
from functools import partial

import numpy as np
import pytest

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, DataError
from capsmith.deploy.batch.inputs import plan_input
from capsmith.deploy.batch.job import local_engine, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.shards import read_shard
from capsmith.deploy.batch.work import Done
from tests.support.toy_work import ToyWork, make_images

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    return folder, make_images(folder, 10)


def run(folder, output, work=None, engine=None, per_block=4):
    plan = partial(plan_input, address=str(folder), per_block=per_block)
    return run_job(work or ToyWork(), str(folder), str(output), plan, engine or local_engine(1))


def rows_of(output):
    """The rows of all shards, read as a user would."""
    table = parquet.read_table(output / "shards")
    return list(zip(table.column("image").to_pylist(), table.column("bytes").to_pylist(), strict=True))


def test_every_image_is_in_one_shard(images, tmp_path):
    folder, sizes = images
    report = run(folder, tmp_path / "out")
    assert sorted(rows_of(tmp_path / "out")) == sorted(sizes.items())
    assert (report.blocks, report.rows, report.images, report.failed, report.done_before) == (3, 10, 10, 0, 0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {key: manifest[key] for key in ("shards", "rows", "failed")} == {"shards": 3, "rows": 10, "failed": 0}


def test_a_restart_computes_what_is_missing(images, tmp_path):
    folder, sizes = images
    out = tmp_path / "out"
    run(folder, out)
    expected = rows_of(out)
    kept = out / "shards" / "00000000.parquet"
    os.utime(kept, (1, 1))
    (out / "shards" / "00000001.parquet").unlink()
    (out / "manifest.json").unlink()
    report = run(folder, out)
    assert (report.done_before, report.images, report.rows) == (2, 4, 10)
    assert rows_of(out) == expected and kept.stat().st_mtime == 1 and (out / "manifest.json").exists()


def test_new_images_do_not_change_the_blocks_of_a_job(images, tmp_path):
    folder, sizes = images
    out = tmp_path / "out"
    run(folder, out)
    (out / "shards" / "00000002.parquet").unlink()
    (out / "manifest.json").unlink()
    shutil.copy(folder / "a" / "000.png", folder / "a" / "0000.png")
    run(folder, out)
    assert sorted(rows_of(out)) == sorted(sizes.items())


def test_an_engine_may_compute_a_block_twice(images, tmp_path):
    folder, _ = images

    def twice(work, output, blocks):
        for block in blocks[::-1]:
            yield from (*local_engine(1)(work, output, np.array([block])),) * 2

    report = run(folder, tmp_path / "out", engine=twice)
    assert (report.images, report.rows) == (10, 10)


def test_a_block_that_is_not_reported_is_noticed(images, tmp_path):
    with pytest.raises(CapsmithError, match="1 blocks"):
        run(images[0], tmp_path / "out", engine=lambda *_: [Done(0, 4), Done(2, 2)])
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_unreadable_images_are_no_rows(images, tmp_path):
    folder, sizes = images
    (folder / "a" / "bad.png").write_bytes(b"%PDF-1.4 is no image" * 9)
    report = run(folder, tmp_path / "out")
    assert (report.rows, report.failed) == (10, 1)
    failed = [read_shard(Place(tmp_path / "out"), block)[1] for block in range(3)]
    assert [*{name for part in failed for name in part}] == ["a/bad.png"]


@pytest.mark.parametrize("change", ["model", "input", "title"])
def test_another_job_is_refused(images, tmp_path, change):
    folder, _ = images
    run(folder, tmp_path / "out")
    other = shutil.copytree(folder, tmp_path / "other") if change == "input" else folder
    work = ToyWork(fingerprint={"model": "new"}) if change == "model" else ToyWork()
    work.title = "other" if change == "title" else work.title
    with pytest.raises(ConfigError, match=change):
        run(other, tmp_path / "out", work)


def test_a_foreign_folder_is_refused(images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").touch()
    with pytest.raises(ConfigError, match=r"thesis\.doc"):
        run(images[0], tmp_path / "out")


def test_errors_of_the_work_end_the_job_and_keep_its_shards(images, tmp_path):
    folder, _ = images
    out = tmp_path / "out"
    last = sorted(make_images(folder, 10))[-1]
    with pytest.raises(CheckpointError, match="no space"):
        run(folder, out, ToyWork(fault="block", image=last))
    assert len(list((out / "shards").iterdir())) == 2
    assert run(folder, out).done_before == 2


def test_ctrl_c_says_how_to_go_on(images, tmp_path):
    def interrupted(work, output, blocks):
        yield from local_engine(1)(work, output, blocks[:1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run(images[0], tmp_path / "out", engine=interrupted)
    assert "2 of 3" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["job.json", "plan/plan.json", "plan/units-000000.parquet", "shards/00000000.parquet"])
def test_damaged_files_are_one_line(images, tmp_path, name):
    out = tmp_path / "out"
    run(images[0], out)
    (out / "shards" / "00000001.parquet").unlink()
    (out / name).write_bytes(b"PAR1 damaged")
    with pytest.raises(CheckpointError) as caught:
        run(images[0], out)
    assert name.split("/")[0] in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_input_is_one_line(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="images"):
        run(tmp_path / "images", tmp_path / "out")
