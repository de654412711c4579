"""Folders, tars and Parquet files as the input of a job; the files are written by tarfile and pyarrow."""

import io
import tarfile

import pytest

from capsmith.core.errors import DataError, ImageError
from capsmith.deploy.batch.inputs import images_of, plan_input
from capsmith.deploy.batch.places import Place
from tests.support.toy_work import make_images

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def images(tmp_path):
    make_images(tmp_path / "images", 6)
    return {
        str(path.relative_to(tmp_path / "images")): path.read_bytes()
        for path in sorted((tmp_path / "images").rglob("*.png"))
    }


def read(tmp_path, address, **settings):
    """Returns name and content of every image of every block, and the number of blocks."""
    plan = plan_input(Place(tmp_path / "job"), str(address), **settings)
    found = [
        (image.name, image.read()) for number in range(plan.blocks) for image in images_of(plan, plan.block(number))
    ]
    return found, plan.blocks


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_a_folder(images, tmp_path):
    (tmp_path / "images" / "notes.txt").touch()
    (tmp_path / "images" / "a" / ".hidden.png").touch()
    found, blocks = read(tmp_path, tmp_path / "images", per_block=4)
    assert found == sorted(images.items()) and blocks == 2


def test_only_the_folder_itself(images, tmp_path):
    (tmp_path / "images" / "top.png").write_bytes(b"top")
    plan = plan_input(Place(tmp_path / "job"), str(tmp_path / "images"), recursive=False)
    assert [image.name for image in images_of(plan, plan.block(0))] == ["top.png"]


def test_tars(images, tmp_path):
    names = sorted(images)
    (tmp_path / "tars").mkdir()
    for number in range(2):
        part = {name: images[name] for name in names[number::2]}
        write_tar(tmp_path / "tars" / f"train-{number}.tar", {**part, "a.json": b"{}", f"./{number}.txt": b"a dog"})
    (tmp_path / "tars" / "readme.md").touch()
    found, blocks = read(tmp_path, tmp_path / "tars")
    assert found == [(name, images[name]) for name in names[0::2] + names[1::2]] and blocks == 2
    one, _ = read(tmp_path, tmp_path / "tars" / "train-1.tar")
    pattern, _ = read(tmp_path, tmp_path / "tars" / "*-1.tar")
    assert [name for name, _ in one] == [name for name, _ in pattern] == names[1::2]


@pytest.mark.parametrize("column", ["bytes", "struct"])
@pytest.mark.parametrize("per_block", [1, 4, 100])
def test_parquet(images, tmp_path, column, per_block):
    content = list(images.values())
    values = content if column == "bytes" else [{"bytes": one, "path": "x"} for one in content]
    table = arrow.table({"image": values, "id": list(images), "caption": ["a dog"] * 6})
    (tmp_path / "rows").mkdir()
    parquet.write_table(table, tmp_path / "rows" / "train.parquet", row_group_size=4)
    found, blocks = read(tmp_path, tmp_path / "rows", per_block=per_block)
    assert found == list(images.items()) and blocks == -(-6 // per_block)


def test_rows_without_ids_are_numbered(images, tmp_path):
    parquet.write_table(arrow.table({"jpg": list(images.values())}), tmp_path / "a.parquet")
    found, _ = read(tmp_path, tmp_path / "a.parquet", per_block=2)
    assert [name for name, _ in found] == [f"a.parquet/{number}" for number in range(6)]


def test_a_row_without_an_image_is_an_unreadable_image(tmp_path):
    parquet.write_table(arrow.table({"image": arrow.array([None], arrow.binary())}), tmp_path / "a.parquet")
    plan = plan_input(Place(tmp_path / "job"), str(tmp_path / "a.parquet"))
    (image,) = images_of(plan, plan.block(0))
    with pytest.raises(ImageError, match="a.parquet/0"):
        image.read()


@pytest.mark.parametrize("content", [b"no parquet", b"", "columns", "paths"])
def test_tables_without_images_are_one_line(tmp_path, images, content):
    path = tmp_path / "a.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        parquet.write_table(arrow.table({"picture": [b"x"]} if content == "columns" else {"image": ["a.jpg"]}), path)
    with pytest.raises(DataError, match=r"a\.parquet") as caught:
        read(tmp_path, path)
    assert "\n" not in str(caught.value)


def parts(folder, path):
    """Returns the names of the images that can be read, and the errors of the others."""
    plan = plan_input(Place(folder / "job"), str(path))
    found, errors = [], {}
    for number in range(plan.blocks):
        for image in images_of(plan, plan.block(number)):
            try:
                image.read()
                found.append(image.name)
            except ImageError as error:
                errors[image.name] = str(error)
    return found, errors


def header(**fields):
    member = tarfile.TarInfo(fields.pop("name", "x.jpg"))
    for name, value in fields.items():
        setattr(member, name, value)
    return member.tobuf(tarfile.GNU_FORMAT)


SPARSE = bytearray(header(type=tarfile.GNUTYPE_SPARSE, size=0))
SPARSE[483:495] = b"07777777777\0"  # 8 GiB of zeros in no bytes
SPARSE[148:156] = b"%06o\0 " % (sum(SPARSE) - sum(SPARSE[148:156]) + 8 * 32)
LONG_NAME = header(name="././@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=2) + b"a\0".ljust(512, b"\0")


@pytest.mark.parametrize(
    ("tail", "damaged"),
    [
        (b"no tar at all" * 100, True),
        (header(size=5000) + b"x" * 100, True),
        (header(size=7 << 30), True),
        (bytes(SPARSE) + bytes(1024), False),
        (LONG_NAME * 3_000 + header() + bytes(1024), True),
        (header(type=tarfile.SYMTYPE, linkname="/etc/passwd") + bytes(1024), False),
        (header(type=tarfile.CHRTYPE) + bytes(1024), False),
    ],
    ids=["noise", "cut off", "cut off, huge", "sparse", "long names without end", "link", "device"],
)
def test_what_is_before_the_damage_of_a_tar_is_read(tmp_path, tail, damaged):
    good = header(name="good.jpg", size=3) + b"123".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(good + tail)
    found, errors = parts(tmp_path, tmp_path / "a.tar")
    assert found == ["good.jpg"]
    assert ("a.tar" in errors) == damaged and all(len(error) < 300 for error in errors.values())


def test_a_tar_is_read_in_large_parts(tmp_path, monkeypatch):
    """A read of a remote file is a request: tarfile's own 10 kB would be 200 of them here."""
    write_tar(tmp_path / "a.tar", {f"{number}.jpg": bytes(100_000) for number in range(20)})
    reads = []

    class Counting(io.FileIO):
        def read(self, size=-1):
            reads.append(size)
            return super().read(size)

    monkeypatch.setattr(Place, "open", lambda place, name: Counting(place.local / name))
    names, _ = read(tmp_path, tmp_path / "a.tar")
    assert len(names) == 20
    assert len(reads) < 5


def test_a_file_that_is_no_tar_is_an_unreadable_image(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar" * 200)
    assert [*parts(tmp_path, tmp_path / "a.tar")[1]] == ["a.tar"]


def test_rows_before_the_damage_of_a_table_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    table = arrow.table({"image": [bytes([number]) * 2000 for number in range(40)]})
    parquet.write_table(table, path, row_group_size=10, compression="zstd", use_dictionary=False)
    start = parquet.read_metadata(path).row_group(2).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    found, errors = parts(tmp_path, path)
    assert found == [f"a.parquet/{number}" for number in range(20)] and list(errors) == ["a.parquet"]


@pytest.mark.parametrize("name", ["missing", "missing.tar", "*.tar", "empty"])
def test_nothing_to_read_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="such|empty"):
        plan_input(Place(tmp_path / "job"), str(tmp_path / name))


def test_a_tar_with_endless_global_settings_is_damaged(images, tmp_path):
    with tarfile.open(
        tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={str(n): "x" for n in range(1500)}
    ) as tar:
        for name, content in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    plan = plan_input(Place(tmp_path / "job"), str(tmp_path / "a.tar"))
    (image,) = images_of(plan, plan.block(0))
    with pytest.raises(ImageError, match="global"):
        image.read()
