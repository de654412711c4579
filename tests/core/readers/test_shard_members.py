"""Files inside tars and Parquet files: found, read, and refused when a shard is hostile or broken."""

import io
import os
import random
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from capsmith.core.readers.shard_members import file_size, parquet_rows, read_member, split_member, tar_index
from capsmith.core.readers.tar_index import ShardError, TarIndex
from tests.support.shards import tar_bytes

MEMBERS = [
    (f"part/{n:05d}.{ending}", bytes([n % 251]) * (n * 7 % 900)) for n in range(120) for ending in ("jpg", "txt")
]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-000000.tar"
    path.write_bytes(tar_bytes(MEMBERS))
    return path


def with_member(path, change, name="a.jpg", content=b"abc"):
    """Writes a tar of a changed member and an ordinary one."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        change(info)
        tar.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo("b.jpg")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"ok"))
    return path


def test_members_are_read_as_files(shard):
    for name, content in MEMBERS:
        assert read_member(shard / name, 2**20) == content
        assert file_size(shard / name) == len(content)
    assert split_member(shard / "part/00003.jpg") == (shard, "part/00003.jpg")
    assert [(name, size) for name, _, size in tar_index(shard)] == [(name, len(content)) for name, content in MEMBERS]


def test_a_path_without_a_shard_is_left_alone(shard, tmp_path):
    (tmp_path / "folder.tar").mkdir()
    for path in (tmp_path / "none.tar" / "a.jpg", tmp_path / "folder.tar" / "a.jpg", tmp_path / "a.jpg"):
        assert split_member(path) is None and read_member(path, 9) is None and file_size(path) == -1
    assert file_size(shard) == shard.stat().st_size
    with pytest.raises(FileNotFoundError, match="no such member"):
        read_member(shard / "part/none.jpg", 9)
    with pytest.raises(OSError, match="allowed"):
        read_member(shard / "part/00003.jpg", 2)


def test_a_changed_shard_is_read_anew(shard):
    assert read_member(shard / "part/00001.jpg", 99) == MEMBERS[2][1]
    shard.write_bytes(tar_bytes([("part/00001.jpg", b"new"), *MEMBERS[:2]]))
    os.utime(shard, ns=(1, 1))
    assert read_member(shard / "part/00001.jpg", 99) == b"new"


def test_threads_and_a_fork_read_the_same(shard):
    order = random.Random(3).sample(MEMBERS, len(MEMBERS))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: read_member(shard / one[0], 2**20), order)) == [c for _, c in order]
    tar_index._lock.acquire()  # a thread of the parent may hold it during the fork
    try:
        child = os.fork()
        if not child:
            os._exit(0 if read_member(shard / MEMBERS[9][0], 2**20) == MEMBERS[9][1] else 1)
    finally:
        tar_index._lock.release()
    timer = threading.Timer(20, os.kill, (child, 9))
    timer.start()
    assert os.waitpid(child, 0)[1] == 0
    timer.cancel()


def test_links_special_files_and_repeated_members_are_skipped(tmp_path):
    kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(f"{name}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for content in (b"first", b"second"):
            info = tarfile.TarInfo("same.jpg")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    index = tar_index(path)
    assert [name for name, _, _ in index] == ["same.jpg"]
    assert sorted(name for _, name in index.skipped) == ["device.jpg", "hard.jpg", "link.jpg", "pipe.jpg", "same.jpg"]
    assert read_member(path / "same.jpg", 99) == b"first"
    assert file_size(path / "link.jpg") == -1


@pytest.mark.parametrize("cut", [200, 512 + 100, 3 * 512 + 40, 20_000])
def test_a_shard_that_is_cut_off_is_refused(shard, cut):
    whole = shard.read_bytes()
    shard.write_bytes(whole[:cut])
    with pytest.raises(ShardError, match="cut off|not a tar|damaged"):
        TarIndex.read(shard)


@pytest.mark.parametrize("start", [b"", b"\x1f\x8b\x08 packed", b"no tar at all" * 100, b"\0" * 100])
def test_other_files_are_refused(tmp_path, start):
    path = tmp_path / "a.tar"
    path.write_bytes(start)
    with pytest.raises(ShardError, match="compressed" if start[:1] == b"\x1f" else "not a tar"):
        TarIndex.read(path)


def test_hostile_headers_are_refused_quickly(tmp_path):
    path = tmp_path / "a.tar"
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.XHDTYPE, 2**33
    path.write_bytes(long.tobuf(tarfile.GNU_FORMAT) + b"0" * 4096)
    with pytest.raises(ShardError, match="header"):
        TarIndex.read(path)
    many = tarfile.TarInfo("x")
    many.type, many.size = tarfile.XHDTYPE, 512
    path.write_bytes((many.tobuf() + b"11 path=ab\n".ljust(512, b"\0")) * 5000)
    with pytest.raises(ShardError):
        TarIndex.read(path)
    back = tarfile.TarInfo("a.jpg")
    content = tarfile.TarInfo.create_pax_header  # a negative size would send tarfile back to the same member for ever
    record = b"14 size=-1536\n"
    assert content and len(record) == 14
    many.size = len(record)
    path.write_bytes(many.tobuf() + record.ljust(512, b"\0") + back.tobuf() + b"\0" * 1024)
    with pytest.raises(ShardError):
        TarIndex.read(path)


def test_many_global_headers_are_refused_quickly(tmp_path):
    """tarfile copies all global settings for each member that has its own: a small file would take hours."""
    fields = b"".join(b"13 k%06d=v\n" % number for number in range(50_000))
    header, own = tarfile.TarInfo("g"), tarfile.TarInfo("x")
    header.type, header.size, own.type, own.size = tarfile.XGLTYPE, len(fields), tarfile.XHDTYPE, 512
    members = (own.tobuf() + b"11 path=ab\n".ljust(512, b"\0") + tarfile.TarInfo("a.jpg").tobuf()) * 3
    (tmp_path / "a.tar").write_bytes(
        header.tobuf() + fields + bytes(-len(fields) % 512) + members + bytes(1024),
    )
    with pytest.raises(ShardError, match="global"):
        TarIndex.read(tmp_path / "a.tar")


def test_names_are_looked_up_composed_and_without_a_leading_dot(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([("./cafe\u0301.jpg", b"1"), ("n" * 3000 + ".jpg", b"2"), ("../up.jpg", b"3")]))
    assert read_member(path / "caf\u00e9.jpg", 9) == b"1"
    assert [kind for kind, _ in tar_index(path).skipped] == ["member without a usable name"]
    assert file_size(path / "up.jpg") == -1


# --- Parquet ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values = [bytes([n % 251]) * (n % 300) for n in range(1000)]
    values[700] = None
    structs = [None if value is None else {"bytes": value, "path": "a.jpg"} for value in values]
    table = pyarrow.table({"image": structs, "raw": values, "text": [str(n) for n in range(1000)]})
    path = tmp_path / "train.parquet"
    parquet.write_table(table, path, row_group_size=150)
    return path, values


@pytest.mark.parametrize("column", ["image", "raw"])
def test_rows_are_read_in_any_order_and_by_threads(rows, column):
    path, values = rows
    order = [*range(0, 700, 3), *random.Random(1).sample(range(700), 40), 999, 0]
    assert [read_member(path / column / str(row), 2**20) for row in order] == [values[row] for row in order]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: read_member(path / column / str(row), 2**20), range(699)))
    assert found == values[:699]
    assert file_size(path / column / "3") == file_size(path / column / "149") != file_size(path / column / "150") > 0
    assert parquet_rows(path).without_value(column) == {700}


def test_large_rows_are_not_kept(tmp_path):
    """A small file whose dictionary repeats a large value must not fill memory."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    codes = pyarrow.array([0] * 64, pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(codes, pyarrow.array([bytes(4 * 2**20)], pyarrow.binary()))
    path = tmp_path / "same.parquet"
    parquet.write_table(pyarrow.table({"image": column}), path, store_schema=False)
    before = pyarrow.total_allocated_bytes()
    assert all(len(read_member(path / "image" / str(row), 2**23)) == 4 * 2**20 for row in (0, 40, 63))
    assert pyarrow.total_allocated_bytes() - before < 200 * 2**20 < 64 * 4 * 2**20


@pytest.mark.parametrize(
    ("member", "reason"),
    [("image/700", "no image in row 700"), ("image/1000", "no such row"), ("image/x", "no such row"), ("0", "column")],
)
def test_rows_that_do_not_exist(rows, member, reason):
    with pytest.raises((OSError, ShardError), match=reason):
        read_member(rows[0] / member, 99)
    assert file_size(rows[0] / member) == -1 or member == "image/700"


def test_broken_parquet_files_are_refused(rows):
    path, _ = rows
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-100], whole[:4] + b"\xff" * (len(whole) - 12) + whole[-8:]):
        path.write_bytes(content)
        with pytest.raises(ShardError, match="Parquet"):
            read_member(path / "image/3", 2**20)
    path.write_bytes(whole[:5000] + bytes(len(whole) - 9000) + whole[-4000:])
    with pytest.raises((ShardError, OSError)):
        for row in range(1000):
            read_member(path / "raw" / str(row), 2**20)
    with pytest.raises(ShardError, match="holds string"):
        path.write_bytes(whole)
        read_member(path / "text/3", 99)
