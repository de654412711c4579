"""Folders of jobs that somebody changed, and inputs that are damaged or vanish: one line each, and no lost image."""

import io
import json
import os
import shutil
import tarfile
from functools import partial

import pytest

from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError, DataError
from capsmith.data.image_listing import list_images
from capsmith.deploy.batch.inputs import plan_input
from capsmith.deploy.batch.job import local_engine, run_job
from capsmith.deploy.batch.work import BlockRunner
from tests.support.toy_work import ToyWork, make_images

arrow = pytest.importorskip("pyarrow", reason="sharded jobs need pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

DEEP = "[" * 100_000


def run(source, output, work=None):
    plan = partial(plan_input, address=str(source), per_block=4)
    return run_job(work or ToyWork(), str(source), str(output), plan, local_engine(1))


@pytest.fixture
def source(tmp_path):
    make_images(tmp_path / "in", 10)
    return tmp_path / "in"


@pytest.fixture
def job(source, tmp_path):
    """A job of three blocks, of which none is finished."""
    run(source, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "shards")
    (tmp_path / "out" / "manifest.json").unlink()
    return tmp_path / "out"


class Counting(ToyWork):
    """Does something before it computes a certain block."""

    def __init__(self, block, action):
        super().__init__()
        self.left, self.action = block, action

    def __call__(self, images):
        if self.left == 0:
            self.action()
        self.left -= 1
        return super().__call__(images)


# --- what somebody wrote into the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"units": 1.5}, {"units": "7"}, {"units": True}, {"units": 10**18}, {"units": 10**30}, {"per_block": 0.5}]
    + [{"input": 7}, {"kind": []}, {"folder": "x"}, {"_tables": {}}],
    ids=str,
)
def test_plans_without_sense(source, job, change):
    path = job / "plan" / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    one_line(CheckpointError, "plan.json", source, job)


@pytest.mark.parametrize("name", ["plan/plan.json", "job.json"])
@pytest.mark.parametrize("text", [DEEP, "null", "[]", "{", '{"a": 1, "a": 2}'], ids=lambda text: text[:5])
def test_json_that_is_none(source, job, name, text):
    (job / name).write_text(text)
    one_line(CheckpointError, name, source, job)


@pytest.mark.parametrize(
    "columns",
    [{"name": ["x"] * 10}, {"name": [1] * 10, "path": [2] * 10, "first": [0] * 10, "rows": [0] * 10, "size": [1] * 10}],
)
def test_units_of_other_columns(source, job, columns):
    parquet.write_table(arrow.table(columns), job / "plan" / "units-000000.parquet")
    one_line(CheckpointError, "units-000000.parquet", source, job)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1",
        b"PAR1" + bytes(100) + b"\x32\0\0\0PAR1",
        None,
        DEEP,
        "[]",
        '{"a": 1}',
    ],
    ids=str,
)
def test_shards_that_are_none(source, job, content):
    shard = job / "shards" / "00000001.parquet"
    shard.parent.mkdir()
    if isinstance(content, bytes):
        shard.write_bytes(content)
    else:
        metadata = None if content is None else {"capsmith.failed": content}
        parquet.write_table(arrow.table({"a": [1]}).replace_schema_metadata(metadata), shard)
    one_line(CheckpointError, shard.name, source, job)
    shard.unlink()
    assert run(source, job).rows == 10


def test_a_pipe_in_place_of_a_shard_is_replaced(source, job):
    (job / "shards").mkdir()
    os.mkfifo(job / "shards" / "00000000.parquet")
    assert run(source, job).rows == 10


def one_line(error, text, source, job):
    with pytest.raises(error, match=text) as caught:
        run(source, job)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


# --- what happens meanwhile -------------------------------------------------------------------------------------------


def test_a_folder_that_is_removed_meanwhile_is_not_finished(source, tmp_path):
    work = Counting(2, lambda: shutil.rmtree(tmp_path / "out"))
    with pytest.raises(CapsmithError, match="2 shards"):
        run(source, tmp_path / "out", work)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_images_of_a_drive_that_is_gone_are_not_unreadable_ones(source, tmp_path):
    away = tmp_path / "away"
    work = Counting(1, lambda: source.rename(away))
    with pytest.raises(DataError, match=f"{source}.*mount"):
        run(source, tmp_path / "out", work)
    source.mkdir()  # the place where it was mounted
    with pytest.raises(DataError, match="mount"):
        run(source, tmp_path / "out")
    source.rmdir()
    away.rename(source)
    report = run(source, tmp_path / "out")
    assert (report.rows, report.failed, report.done_before) == (10, 0, 1)


def test_images_that_are_removed_are_unreadable_ones(source, job):
    shutil.rmtree(source / "a")
    report = run(source, job)
    assert report.failed > 0 and report.rows + report.failed == 10


def test_a_parquet_file_that_became_shorter(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"image": [b"x"] * 10}), path)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "out", Counting(1, stop))
    parquet.write_table(arrow.table({"image": [b"x"] * 7}), path)
    with pytest.raises(DataError, match="changed"):
        run(path, tmp_path / "out")


def test_what_a_killed_process_and_a_file_manager_leave_is_no_obstacle(source, tmp_path):
    (tmp_path / "out").mkdir()
    for name in (".capsmith-abcdefgh-job.json", ".DS_Store"):
        (tmp_path / "out" / name).write_text("{")
    assert run(source, tmp_path / "out").rows == 10


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path):
    with pytest.raises(ConfigError, match="all machines"):
        BlockRunner(ToyWork(), str(tmp_path / "elsewhere"), 1)(0)
    assert not (tmp_path / "elsewhere").exists()


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_an_input_without_images_is_refused_each_time(tmp_path):
    parquet.write_table(arrow.table({"image": arrow.array([], arrow.binary())}), tmp_path / "a.parquet")
    for _ in range(2):
        with pytest.raises(DataError, match="no images"):
            run(tmp_path / "a.parquet", tmp_path / "out")


@pytest.mark.parametrize(("size", "whole"), [(0, 0), (700, 0), (1536, 1), (1800, 1), (2100, 1), (3072, 2)])
def test_a_truncated_tar_is_an_unreadable_image_beside_others(tmp_path, size, whole):
    (tmp_path / "tars").mkdir()
    for name in ("a", "b"):
        with tarfile.open(tmp_path / "tars" / f"{name}.tar", "w") as tar:
            for image in ("1.png", "../2.png", "3\n.png"):
                info = tarfile.TarInfo(image)
                info.size = 700
                tar.addfile(info, io.BytesIO(bytes(range(256)) * 3))
    os.truncate(tmp_path / "tars" / "a.tar", size)
    report = run(tmp_path / "tars", tmp_path / "out")
    assert (report.rows, report.failed) == (3 + whole, 1)
    assert json.loads(
        parquet.read_schema(tmp_path / "out/shards/00000000.parquet").metadata[b"capsmith.failed"]
    ).keys() == {"a.tar"}


def test_names_that_are_not_utf_8(source, tmp_path):
    os.rename(source / "a" / "000.png", os.fsencode(source) + b"/\xe9\n.png")
    assert run(source, tmp_path / "out").rows == 10


def test_links_in_a_circle_and_folders_like_patterns(tmp_path):
    folder = tmp_path / "photos[1]"
    make_images(folder, 3)
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "nowhere.png").symlink_to("nothing")
    assert run(folder, tmp_path / "out").rows == 3


def test_ids_that_are_bytes_or_missing(tmp_path):
    images = {"image": [b"x", b"y", b"z"], "id": [b"a\xff", b"a\nb", None]}
    parquet.write_table(arrow.table(images), tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", tmp_path / "out")
    assert parquet.read_table(tmp_path / "out" / "shards")["image"].to_pylist() == ["a\\xff", "a\nb", "a.parquet/2"]


def test_links_to_folders_are_followed_once_as_by_other_commands(tmp_path):
    make_images(tmp_path / "photos", 3)
    make_images(tmp_path / "elsewhere", 5)
    for name, target in {"x": "elsewhere", "y": "elsewhere", "again": "photos", "inner": "photos/a"}.items():
        (tmp_path / "photos" / name).symlink_to(tmp_path / target)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    run(tmp_path / "photos", tmp_path / "out")
    found = parquet.read_table(tmp_path / "out" / "shards")["image"].to_pylist()
    assert sorted(found) == sorted(list_images(tmp_path / "photos").images) and len(found) == 8
