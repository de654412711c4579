"""Places, plans and jobs on an S3 server of this machine."""

import io
import json
import socket
import tarfile
import time
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow")
pytest.importorskip("moto", reason="needs moto[server,s3]")
pytest.importorskip("flask", reason="needs moto[server,s3]")

from pyarrow import parquet  # noqa: E402

from capsmith.cli import main  # noqa: E402
from capsmith.core.errors import CapsmithError, ConfigError, DataError  # noqa: E402
from capsmith.core.starter import STARTER, has_starter  # noqa: E402
from capsmith.deploy.batch import job  # noqa: E402
from capsmith.deploy.batch.captions import CaptionWork, CaptionWorker, caption_shards  # noqa: E402
from capsmith.deploy.batch.inputs import images_of, plan_input  # noqa: E402
from capsmith.deploy.batch.job import local_engine, run_job  # noqa: E402
from capsmith.deploy.batch.places import Place  # noqa: E402
from capsmith.deploy.batch.shards import failures  # noqa: E402
from tests.deploy.batch.test_captions import fake  # noqa: E402
from tests.support import s3  # noqa: E402
from tests.support.fake_captioner import make_images  # noqa: E402

ODD = ["a b.png", "ü/日本.png", "x#y%20z?q=1.png", "1+1=2.png", "deep/er/c&d.png", "'\"*[].png"]


@pytest.fixture(scope="module", autouse=True)
def server():
    with s3.server() as variables:
        yield variables


@pytest.fixture
def folder(request):
    """The address of a folder of its own."""
    return f"s3://{s3.BUCKET}/{request.node.name}"


def put(folder, objects):
    s3.put({f"{folder.removeprefix(f's3://{s3.BUCKET}/')}/{name}": content for name, content in objects.items()})


def captions_in(folder):
    """Returns the captions of a job, read without ``Place``."""
    prefix = folder.removeprefix(f"s3://{s3.BUCKET}/")
    shards = [key for key in s3.keys(f"{prefix}/shards/") if key.endswith(".parquet")]
    rows = [row for key in shards for row in parquet.read_table(io.BytesIO(s3.content(key))).to_pylist()]
    return {row["image"]: row["caption"] for row in rows}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files and captions of images, by name."""
    folder = tmp_path_factory.mktemp("pictures")
    captions = make_images(folder, 12)
    return {name: (folder / name).read_bytes() for name in captions}, captions


def test_odd_names_are_written_listed_and_read(folder):
    place = Place(folder)
    for name in ODD:
        place.write(name, name.encode())
    assert s3.keys(f"{folder.rpartition('/')[2]}/") == sorted(f"{folder.rpartition('/')[2]}/{name}" for name in ODD)
    assert {entry.name: entry.size for entry in place.walk()} == {name: len(name.encode()) for name in ODD}
    for name in ODD:
        assert place.read(name) == name.encode() and place.exists(name) and place.size(name) == len(name.encode())
    place.remove("a b.png")
    place.remove("a b.png")
    assert not place.exists("a b.png")


def test_content_is_sent_as_it_is(folder, monkeypatch):
    """Without a checksum behind it, which some stores would keep as a part of the file (s3rver 3.7 does)."""
    from moto.s3.responses import S3Response

    real, seen = S3Response.put_object, []

    def put_object(self, *arguments):
        seen.append({name.lower() for name, _ in self.headers.items()})
        return real(self, *arguments)

    monkeypatch.setattr(S3Response, "put_object", put_object)
    Place(folder).write("a", b"hello")
    assert len(seen) == 1 and not seen[0] & {"x-amz-trailer", "x-amz-decoded-content-length"}


@pytest.mark.parametrize("slash", ["", "/"])
def test_more_keys_than_a_page_of_a_listing(folder, slash, tmp_path):
    put(folder, {f"{number:05}.png": b"x" for number in range(2_100)} | {"deep/.hidden.png": b"x", "z.txt": b"x"})
    place = Place(folder + slash)
    names = [entry.name for entry in place.walk()]
    assert names == [f"{number:05}.png" for number in range(2_100)] + ["z.txt"]
    assert plan_input(Place(tmp_path), folder + slash).units == 2_100


def test_what_is_missing(folder):
    assert Place(folder).entries() == ([], []) and list(Place(folder).walk()) == []
    assert not Place(folder).exists("job.json")
    for call in (lambda: Place(folder).read("a"), lambda: Place("s3://no-such-bucket/x").write("a", b"")):
        with pytest.raises(CapsmithError, match=r"s3://"):
            call()
    for address in ("s3://", "s3:///x"):
        with pytest.raises(DataError):
            Place(address)


def test_a_folder_of_s3_becomes_shards_on_s3(folder, pictures):
    files, captions = pictures
    odd = dict(zip(ODD, files.values(), strict=False))
    put(folder, {f"in/{name}": content for name, content in odd.items()} | {"in/broken.png": b"broken"})
    report = caption_shards(fake(), f"{folder}/in/", f"{folder}/out/")
    assert captions_in(f"{folder}/out") == dict(zip(sorted(ODD), [], strict=False)) | {
        name: captions[key] for name, key in zip(ODD, files, strict=False)
    }
    assert (report.rows, report.failed) == (len(ODD), 1)
    assert [name for name, _ in failures(Place(f"{folder}/out"), [0])] == ["broken.png"]


def test_tars_of_s3(folder, pictures):
    files, captions = pictures
    for number in range(2):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in list(files.items())[number::2]:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        put(folder, {f"in/train-{number}.tar": buffer.getvalue(), f"in/other-{number}.tar": b"not asked for"})
    caption_shards(fake(), f"{folder}/in/train-*.tar", f"{folder}/out")
    assert captions_in(f"{folder}/out") == captions


def test_a_job_on_s3_goes_on(folder, pictures):
    files, captions = pictures
    put(folder, {f"in/{name}": content for name, content in files.items()})

    def run(model="m", engine=None):
        work = CaptionWork.of(fake(model))
        source = f"{folder}/in"
        return run_job(
            work, source, f"{folder}/out", lambda p: plan_input(p, source, True, 5), engine or local_engine(1)
        )

    def dying(work, address, blocks):
        yield next(iter(local_engine(1)(work, address, blocks)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(engine=dying)
    assert len(captions_in(f"{folder}/out")) == 5 and not Place(f"{folder}/out").exists(job.MANIFEST)
    put(folder, {"in/new.png": b"not in the plan"})
    assert run().done_before == 1
    assert captions_in(f"{folder}/out") == captions
    assert json.loads(Place(f"{folder}/out").read(job.MANIFEST))["rows"] == 12
    with pytest.raises(ConfigError, match="model"):
        run("another")


def test_an_upload_that_fails_leaves_no_shard(folder, pictures, monkeypatch):
    files, captions = pictures
    put(folder, {f"in/{name}": content for name, content in files.items()})
    from moto.s3.responses import S3Response

    def fail(self, *arguments):
        return 503, {}, ""

    with monkeypatch.context() as patch:
        patch.setattr(S3Response, "put_object", fail)
        place = Place(f"{folder}/out")
        with pytest.raises(CapsmithError, match="shards/0"):
            place.write("shards/00000000.parquet", b"x" * 100)
    assert s3.keys(f"{folder.rpartition('/')[2]}/out") == [] and not place.exists("shards/00000000.parquet")
    caption_shards(fake(), f"{folder}/in", f"{folder}/out")
    assert captions_in(f"{folder}/out") == captions


def test_a_file_that_is_gone_is_an_unreadable_image_but_a_store_that_is_ends_the_job(folder, pictures, monkeypatch):
    put(folder, {f"in/{name}": content for name, content in pictures[0].items()})
    plan = plan_input(Place(f"{folder}/out"), f"{folder}/in")
    Place(f"{folder}/in").remove("0003.png")
    worker = CaptionWorker(fake().load(), 2)
    shard = worker(images_of(plan, plan.block(0)))
    assert list(shard.failed) == ["0003.png"] and len(shard.columns["image"]) == 11
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{_closed()}")
    with pytest.raises(DataError, match="AWS_ENDPOINT_URL"):
        worker(images_of(plan, plan.block(0)[:1]))


def test_a_store_that_cannot_be_reached_is_reported_soon(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{_closed()}")
    began = time.monotonic()
    with pytest.raises(DataError, match="AWS_ENDPOINT_URL"):
        plan_input(Place("s3://bucket/out"), "s3://bucket/in")
    assert time.monotonic() - began < 20


def test_memory_of_fsspec(pictures):
    fsspec = pytest.importorskip("fsspec")
    files, captions = pictures
    for name, content in files.items():
        Place("memory://test/in").write(name if name < "0006" else f"deep/{name}", content)
    caption_shards(fake(), "memory://test/in", "memory://test/out")
    rows = parquet.read_table(io.BytesIO(Place("memory://test/out").read("shards/00000000.parquet"))).to_pylist()
    assert {row["image"].rpartition("/")[2]: row["caption"] for row in rows} == captions
    fsspec.filesystem("memory").store.clear()


@pytest.mark.skipif(not has_starter(), reason="needs the starter")
def test_the_command(folder, pictures, capsys, tmp_path):
    for name, content in pictures[0].items():
        (tmp_path / name).write_bytes(content)
    put(folder, {f"in/{name}": content for name, content in pictures[0].items()})
    command = ["caption", STARTER, "--input", f"{folder}/in", "--output", f"{folder}/out"]
    assert main(command) == main(command) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith(f"{folder}/out") and "12" in first
    assert main(["caption", STARTER, str(tmp_path), "--json"]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert captions_in(f"{folder}/out") == {Path(one["image"]).name: one["caption"] for one in expected}


def _closed() -> int:
    """Returns a port at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
