"""An index by the sharded job is the index by today's way; a kill loses nothing, and no shard is computed again."""

import io
import os
import pickle
import shutil
import sqlite3
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow", reason="sharded jobs need pyarrow")

from capsmith.core.errors import CheckpointError, ConfigError  # noqa: E402
from capsmith.deploy.batch.shards import Shard  # noqa: E402
from capsmith.deploy.batch.vectors import KnownHashes, VectorWork  # noqa: E402
from capsmith.deploy.folder.pipeline import Captioned  # noqa: E402
from capsmith.deploy.search import Captioning, ImageIndex, build_index, sharded  # noqa: E402
from capsmith.models.caption import Caption  # noqa: E402
from tests.deploy.search.conftest import out, photos, toy  # noqa: E402, F401  fixtures
from tests.deploy.search.test_build import counts  # noqa: E402
from tests.support.toy_index import picture, stored  # noqa: E402


@pytest.fixture(autouse=True)
def models(toy, monkeypatch):  # noqa: F811
    """Workers load the toy model; blocks are small."""
    monkeypatch.setattr("capsmith.models.embedders.load_embedder", lambda models=None, engine=None: toy)
    monkeypatch.setattr("capsmith.deploy.batch.plan.block_size", lambda images: 4)
    monkeypatch.setattr("capsmith.deploy.search.build._SAVE_SECONDS", -1.0)  # each shard is merged by itself


def sharded_index(photos, out, toy, **more):  # noqa: F811
    return build_index(photos, out, toy, engine="local", runs=["run"], **more)


def test_the_index_of_a_job_is_that_without_one(photos, out, toy, tmp_path):  # noqa: F811
    shutil.copyfile(photos / "red.png", photos / "copy.png")
    (photos / "note.png").write_text("buy milk")
    (photos / "gone.png").symlink_to("nowhere.png")
    os.rename(os.fsencode(photos / "blue.png"), os.path.join(os.fsencode(photos), b"\xe9 \n.png"))
    expected = build_index(photos, tmp_path / "plain", toy)
    report = sharded_index(photos, out, toy)
    assert counts(report) == counts(expected) == {"new": 9} and report.total == expected.total == 9
    assert [str(error) for error in report.failed] == [str(error) for error in expected.failed]
    assert everything(out) == everything(tmp_path / "plain")
    assert not (out / sharded.JOBS).exists()


def everything(index):
    """Returns what an index says about each image, also about unreadable ones."""
    with sqlite3.connect(index / "images.sqlite") as connection:
        rows = connection.execute(
            "SELECT i.name, i.size, i.mtime, i.error, c.hash, c.look, c.row FROM images i "
            "LEFT JOIN contents c ON c.id = i.content"
        ).fetchall()
    opened = ImageIndex.open(index)
    vectors = opened._current().vectors
    opened.close()
    return {name: (rest, row is not None and [part[row].tobytes() for part in vectors]) for name, *rest, row in rows}


def test_only_what_is_new_or_changed_is_computed(photos, out, toy):  # noqa: F811
    sharded_index(photos, out, toy)
    encoded = toy.encoded
    assert counts(sharded_index(photos, out, toy)) == {"unchanged": 8} and toy.encoded == encoded
    shutil.move(photos / "red.png", photos / "deep" / "rot.png")
    shutil.copyfile(photos / "white.png", photos / "copy.png")
    picture("yellow", seed=9).save(photos / "blue.png")
    (photos / "green.png").unlink()
    report = sharded_index(photos, out, toy)
    assert counts(report) == {"new": 1, "changed": 1, "moved": 1, "deleted": 1, "unchanged": 5}
    assert report.encoded == 1 and stored(out)["copy.png"] == stored(out)["white.png"]


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("where", ["write_shard", "sharded_vectors", "save"])
@pytest.mark.parametrize("after", [0, 2])
def test_killed_while_computing_or_merging_it_goes_on(photos, out, toy, tmp_path, monkeypatch, where, after):  # noqa: F811
    for seed, name in enumerate(("a", "b", "c")):
        picture("red", "green", seed=90 + seed).save(photos / f"{name}.png")
    build_index(photos, tmp_path / "plain", toy)
    targets = {
        "write_shard": "capsmith.deploy.batch.work.write_shard",
        "sharded_vectors": "capsmith.deploy.search.sharded.read_shard",
        "save": "capsmith.deploy.search.writer.IndexWriter.save",
    }
    with monkeypatch.context() as patch:
        dies_after(patch, targets[where], after)
        with pytest.raises(Killed):
            sharded_index(photos, out, toy)
    encoded, shards = toy.encoded, len(list(out.glob("jobs/*/shards/*.parquet")))
    assert shards == (after if where == "write_shard" else 3)
    report = sharded_index(photos, out, toy)
    assert toy.encoded - encoded == 32 * (3 - shards)  # a batch for each missing shard, filled up
    assert report.total == 11 and everything(out) == everything(tmp_path / "plain")
    assert not (out / sharded.JOBS).exists()


def dies_after(patch, target, calls):
    """Makes a function raise ``Killed`` when it is called once too often."""
    module, name = target.rsplit(".", 1)
    owner = pytest.importorskip(module) if "IndexWriter" not in module else sharded.IndexWriter
    real, made = getattr(owner, name), []

    def dying(*arguments, **more):
        if len(made) == calls:
            raise Killed
        made.append(1)
        return real(*arguments, **more)

    patch.setattr(owner, name, dying)


def test_a_folder_that_changes_between_the_kill_and_the_restart(photos, out, toy, tmp_path, monkeypatch):  # noqa: F811
    with monkeypatch.context() as patch:
        dies_after(patch, "capsmith.deploy.batch.work.write_shard", 1)
        with pytest.raises(Killed):
            sharded_index(photos, out, toy)
    picture("yellow", seed=9).save(photos / "blue.png")
    (photos / "red.png").unlink()
    picture("white", "red", seed=8).save(photos / "aaa.png")
    (photos / "black.png").write_text("x")
    sharded_index(photos, out, toy)
    build_index(photos, tmp_path / "plain", toy)
    assert everything(out) == everything(tmp_path / "plain")


def test_an_unfinished_job_of_another_way_is_no_obstacle(photos, out, toy, tmp_path, monkeypatch):  # noqa: F811
    with monkeypatch.context() as patch:
        dies_after(patch, "capsmith.deploy.batch.work.write_shard", 1)
        with pytest.raises(Killed):
            sharded_index(photos, out, toy)
    build_index(photos, out, toy)
    assert not (out / sharded.JOBS).exists() and len(stored(out)) == 8


# --- captions ---------------------------------------------------------------------------------------------------------


class Captioner:
    """A work: the caption of an image is its colour; its mean is read from the file, which shows that it was read."""

    title, fingerprint = "captions", {"model": "one"}

    def __init__(self):
        self.captioned = []

    def open(self, threads):
        return self

    def __call__(self, images):
        rows, failed = [], {}
        for image in images:
            try:
                rows.append((image.name, self.caption(image.read())))
            except Exception as error:
                failed[image.name] = str(error)
        return Shard({"image": [id for id, _ in rows], "caption": [text for _, text in rows]}, failed)

    def caption(self, data):
        self.captioned.append(data)
        red, green, blue = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).mean(axis=(0, 1)).round()
        return f"red {red:.0f} green {green:.0f} blue {blue:.0f}"

    def locally(self, paths):
        for path in paths:
            yield Captioned(path, Caption(self.caption(path.read_bytes()), -1.0, -1.0))

    @property
    def captioning(self):
        return Captioning("one", self.locally, self)


def captions_of(index):
    with sqlite3.connect(index / "images.sqlite") as connection:
        return dict(
            connection.execute("SELECT i.name, c.caption FROM images i JOIN contents c ON c.id = i.content").fetchall()
        )


@pytest.mark.parametrize("shards", [0, 1])
def test_captions_of_a_job_are_those_without_one_also_after_a_kill(photos, out, toy, tmp_path, monkeypatch, shards):  # noqa: F811
    os.rename(os.fsencode(photos / "blue.png"), os.path.join(os.fsencode(photos), b"\xe9 \n.png"))
    shutil.copyfile(photos / "red.png", photos / "copy.png")
    build_index(photos, tmp_path / "plain", toy, Captioner().captioning)
    captioner = Captioner()
    with monkeypatch.context() as patch:
        dies_after(patch, "capsmith.deploy.batch.work.write_shard", 3 + shards)  # three of vectors
        with pytest.raises(Killed):
            sharded_index(photos, out, toy, captioner=captioner.captioning)
    assert captions_of(out) and not any(captions_of(out).values())
    captioner.captioned.clear()
    picture("white", "red", seed=8).save(photos / "deep" / "zzz.png")
    report = sharded_index(photos, out, toy, captioner=captioner.captioning)
    assert report.captioned == 9 and len(captioner.captioned) == 9 - 4 * shards
    (photos / "deep" / "zzz.png").unlink()
    sharded_index(photos, out, toy, captioner=captioner.captioning)
    assert captions_of(out) == captions_of(tmp_path / "plain") and everything(out) == everything(tmp_path / "plain")
    assert not (out / sharded.JOBS).exists()


# --- damage -----------------------------------------------------------------------------------------------------------


def stopped_before_merging(photos, out, toy, monkeypatch):  # noqa: F811
    """Returns the shards of a job that was killed before the index had any of them."""
    with monkeypatch.context() as patch:
        dies_after(patch, "capsmith.deploy.search.sharded.read_shard", 0)
        with pytest.raises(Killed):
            sharded_index(photos, out, toy)
    return sorted(out.glob("jobs/*/shards/*.parquet"))


def hostile(kind, table):
    """Returns a table that claims other things than the job computed."""
    arrow = pytest.importorskip("pyarrow")
    rows = len(table)
    columns = {
        "other columns": lambda: arrow.table({"a": [1] * rows}),
        "wide vectors": lambda: _set(
            table, "semantic", arrow.array([[0.0] * 9] * rows, arrow.list_(arrow.float16(), 9))
        ),
        "lists": lambda: _set(table, "visual", arrow.array([["x"]] * rows)),
        "no numbers": lambda: _set(
            table, "semantic", arrow.array([[np.float16("nan")] * 4] * rows, arrow.list_(arrow.float16(), 4))
        ),
        "short hashes": lambda: _set(table, "hash", arrow.array([b"x"] * rows)),
        "no hashes": lambda: _set(table, "hash", arrow.array([None] * rows, arrow.binary())),
        "text for times": lambda: _set(table, "mtime", arrow.array(["x"] * rows)),
    }
    return columns[kind]().replace_schema_metadata(table.schema.metadata)


def _set(table, name, column):
    return table.set_column(table.schema.get_field_index(name), name, column)


@pytest.mark.parametrize(
    "kind",
    ["other columns", "wide vectors", "lists", "no numbers", "short hashes", "no hashes", "text for times"],
)
def test_a_shard_that_is_none_is_named_and_its_deletion_repairs(photos, out, toy, monkeypatch, kind):  # noqa: F811
    from pyarrow import parquet

    first = stopped_before_merging(photos, out, toy, monkeypatch)[0]
    parquet.write_table(hostile(kind, parquet.read_table(first)), first)
    with pytest.raises(CheckpointError, match="00000000.parquet"):
        sharded_index(photos, out, toy)
    first.unlink()
    assert sharded_index(photos, out, toy).total == 8


def test_names_that_lead_elsewhere_mean_nothing(photos, out, toy, monkeypatch):  # noqa: F811
    import pyarrow
    from pyarrow import parquet

    first = stopped_before_merging(photos, out, toy, monkeypatch)[0]
    table = parquet.read_table(first)
    names = [b"../../etc/passwd", b"/etc/passwd", *[b"deep/../red.png"] * (len(table) - 2)]
    parquet.write_table(_set(table, "name", pyarrow.array(names, pyarrow.binary())), first)
    assert sharded_index(photos, out, toy).total == 8
    assert set(stored(out)) == {str(path.relative_to(photos)) for path in photos.rglob("*.png")}


def test_jobs_that_are_a_link_are_refused(photos, out, toy, tmp_path):  # noqa: F811
    build_index(photos, out, toy)
    picture("white", "red", seed=8).save(photos / "aaa.png")
    (tmp_path / "elsewhere").mkdir()
    (out / sharded.JOBS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(sharded.ImageIndexError, match="jobs"):
        sharded_index(photos, out, toy)
    assert not list((tmp_path / "elsewhere").iterdir())


# --- the work ---------------------------------------------------------------------------------------------------------


def test_the_work_is_picklable_and_refuses_another_model(toy):  # noqa: F811
    work = VectorWork("/photos", "toy-2", ("run",))
    with pytest.raises(ConfigError, match="toy"):
        pickle.loads(pickle.dumps(work)).open(1)


def test_known_hashes(tmp_path):
    hashes = [bytes([n]) * 31 + bytes([last]) for n in range(40) for last in (0, 200)]
    KnownHashes.write(tmp_path / "known.npy", set(hashes[::2]))
    known = KnownHashes(tmp_path / "known.npy")
    assert [hash in known for hash in hashes] == [True, False] * 40 and set(known) == set(hashes[::2])
    assert bytes(32) in known and bytes(32) not in KnownHashes(tmp_path / "none")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, (None, None)),
        ("ray", (None, "ray")),
        ("clip:x", ("clip:x", None)),
        (["local", "clip:x"], ("clip:x", "local")),
    ],
)
def test_engines_name_a_model_or_where_it_is_computed(names, expected):
    from capsmith.deploy.search.engines import Engines

    assert tuple(Engines.of(names)) == expected


@pytest.mark.parametrize("names", ["", "clip:", "rya", ["ray", "local"], ["clip:a", "clip:b"], ["ray", "ray"]])
def test_engines_that_are_none(names):
    from capsmith.deploy.search.engines import Engines

    with pytest.raises(ConfigError, match="--engine"):
        Engines.of(names)


def test_only_a_sharded_job_needs_pyarrow(photos, out, toy, monkeypatch):  # noqa: F811
    from capsmith.core.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert build_index(photos, out, toy).total == 8
    picture("white", "red", seed=8).save(photos / "aaa.png")
    with pytest.raises(MissingExtraError, match="shards"):
        sharded_index(photos, out, toy)


def test_blocks_of_fewer_images_than_a_batch_are_filled_up(photos, tmp_path, toy):  # noqa: F811
    sizes = []
    encode = toy.encode
    toy.encode = lambda *pixels: sizes.append(len(pixels[0])) or encode(*pixels)
    sharded_index(photos, tmp_path / "i", toy, batch_size=8)
    assert sizes == [8, 8]
