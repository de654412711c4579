import io
import json
import os
import pickle
import sys
import tarfile

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow")

import pyarrow  # noqa: E402
from pyarrow import dataset, parquet  # noqa: E402

from capsmith.core.errors import ConfigError  # noqa: E402
from capsmith.deploy.batch.captions import CaptionWork, caption_shards, columns_of  # noqa: E402
from capsmith.deploy.batch.inputs import plan_input  # noqa: E402
from capsmith.deploy.batch.job import local_engine, run_job  # noqa: E402
from capsmith.deploy.batch.places import Place  # noqa: E402
from capsmith.deploy.batch.shards import read_shard  # noqa: E402
from capsmith.deploy.folder.record import record_of  # noqa: E402
from capsmith.deploy.named_captioner import CaptionerName, NamedCaptioner  # noqa: E402
from capsmith.models.caption import Caption  # noqa: E402
from tests.support.fake_captioner import FakeCaptioner, make_images  # noqa: E402


class FakeNamed(NamedCaptioner):
    """A captioner without a config."""

    def settings(self):
        return {"decoding": {"beam_size": 1}, "average": False}

    def portable(self):
        return self.name


def fake(model="m", load=lambda threads=None: FakeCaptioner()):
    return FakeNamed(CaptionerName(("fake",)), None, [], False, load, lambda: model)


def captions_in(folder):
    rows = dataset.dataset(str(folder / "shards")).to_table().to_pylist()
    return {row["image"]: row["caption"] for row in rows}


@pytest.fixture
def photos(tmp_path):
    return make_images(tmp_path / "photos", 23)


def test_every_image_has_a_row_and_unreadable_ones_a_reason(tmp_path, photos):
    (tmp_path / "photos" / "0003.png").write_bytes(b"no image")
    report = caption_shards(fake(), tmp_path / "photos", tmp_path / "out", workers=2)
    del photos["0003.png"]
    assert captions_in(tmp_path / "out") == photos
    assert (report.rows, report.failed, report.images) == (22, 1, 23)
    _, failed = read_shard(Place(tmp_path / "out"), 0)
    assert list(failed) == ["0003.png"] and not failed["0003.png"].startswith("0003.png")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest.items() >= {"rows": 22, "failed": 1, "shards": 1, "model": "m"}.items()


@pytest.mark.parametrize("per_block", [1, 5, 16, 100])
def test_captions_do_not_depend_on_blocks(tmp_path, photos, per_block):
    source = str(tmp_path / "photos")
    work = CaptionWork.of(fake(), batch_size=4)
    report = run_job(
        work, source, str(tmp_path / "out"), lambda place: plan_input(place, source, True, per_block), local_engine(2)
    )
    assert captions_in(tmp_path / "out") == photos
    assert report.blocks == -(-23 // per_block)


def test_columns_are_the_numbers_of_the_record():
    caption = Caption("a dog", -1.0, -1.5, (Caption("a cat", -2.0, -2.5),))
    record = record_of(caption)
    (row,) = pyarrow.table(columns_of(["a.jpg"], [record])).to_pylist()
    assert row["captions"] == [beam["caption"] for beam in record["beams"]] == ["a dog", "a cat"]
    assert row["scores"] == [-1.0, -2.0] and row["log_probabilities"] == [-1.5, -2.5]
    assert (row["image"], row["caption"], row["score"], row["log_probability"]) == ("a.jpg", "a dog", -1.0, -1.5)
    assert row["unlike_training"] is row["training_distance"] is None
    known = {**record, "unlike_training": True, "training_distance": 2.5, "training_threshold": 2.0}
    (row,) = pyarrow.table(columns_of(["a.jpg"], [known])).to_pylist()
    assert (row["unlike_training"], row["training_distance"], row["training_threshold"]) == (True, 2.5, 2.0)


def test_a_shard_without_rows_has_the_same_schema(tmp_path, photos):
    for name in list(photos)[:10]:
        (tmp_path / "photos" / name).write_bytes(b"")
    source = str(tmp_path / "photos")
    run_job(
        CaptionWork.of(fake()),
        source,
        str(tmp_path / "out"),
        lambda place: plan_input(place, source, True, 10),
        local_engine(1),
    )
    schemas = [parquet.read_schema(path).remove_metadata() for path in sorted((tmp_path / "out" / "shards").iterdir())]
    assert len(schemas) == 3 and schemas[0] == schemas[1] == schemas[2]
    assert "null" not in {str(type) for type in schemas[0].types}


def test_tars_and_tables_give_the_captions_of_the_files(tmp_path, photos):
    folder = tmp_path / "photos"
    files = {name: (folder / name).read_bytes() for name in photos}
    (tmp_path / "tars").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "tars" / f"{number:05}.tar", "w") as tar:  # as img2dataset writes it
            for name, content in list(files.items())[number::2]:
                for ending, data in ((".png", content), (".txt", b"words"), (".json", b"{}")):
                    member = tarfile.TarInfo(name.removesuffix(".png") + ending)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    rows = [{"image": {"bytes": content, "path": name}, "label": 1} for name, content in files.items()]
    (tmp_path / "rows").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows" / "train-0.parquet", row_group_size=7)
    for kind in ("tars", "rows"):
        caption_shards(fake(), tmp_path / kind, tmp_path / f"{kind}-out")
        assert captions_in(tmp_path / f"{kind}-out") == photos


def test_a_restart_does_the_rest_and_refuses_another_model(tmp_path, photos):
    source, out = tmp_path / "photos", tmp_path / "out"
    caption_shards(fake(), source, out)
    written = (out / "shards" / "00000000.parquet").stat().st_mtime_ns

    def load(threads=None):
        raise AssertionError("loaded for nothing")

    assert caption_shards(fake(load=load), source, out).done_before == 1
    assert (out / "shards" / "00000000.parquet").stat().st_mtime_ns == written
    for other, more in ((fake("n"), {}), (fake(), {"recursive": False})):
        with pytest.raises(ConfigError):
            caption_shards(other, source, out, **more)


def test_work_is_sent_without_the_model():
    work = CaptionWork.of(fake())
    sent = pickle.loads(pickle.dumps(work))
    assert sent == work and work._found is not None and sent._found is None


def test_names_that_are_not_utf8(tmp_path):
    make_images(tmp_path / "photos", 1)
    os.rename(tmp_path / "photos" / "0000.png", os.fsencode(tmp_path / "photos") + b"/a\xe9.png")
    caption_shards(fake(), tmp_path / "photos", tmp_path / "out")
    assert list(captions_in(tmp_path / "out")) == ["a\\xe9.png"]


def test_a_program_gets_the_file_itself(tmp_path):
    """As from ``capsmith caption``: its answer may depend on the name, the metadata and the size."""
    make_images(tmp_path / "photos", 2)
    program = tmp_path / "say.py"
    program.write_text(
        "import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'caption': line.strip()}), flush=True)\n"
    )
    caption_shards(f"exec:{sys.executable} {program}", tmp_path / "photos", tmp_path / "out")
    assert captions_in(tmp_path / "out") == {name: str(tmp_path / "photos" / name) for name in ("0000.png", "0001.png")}


def test_excluded_words_travel_with_the_work(tmp_path, tiny_run):
    (tmp_path / "words.txt").write_text("ball\n")
    name = CaptionerName((tiny_run.run,), {"exclude_file": str(tmp_path / "words.txt")}, ("decoding.beam_size=2",))
    sent = name.find().portable()
    (tmp_path / "words.txt").unlink()
    found = sent.find()
    assert found.settings()["decoding"]["exclude"] == ["ball"] and found.config.decoding.beam_size == 2
