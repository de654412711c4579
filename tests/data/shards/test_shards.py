"""WebDataset tars and Parquet files as data sets: the same records as a folder, and bad shards."""

import json
import shutil

import numpy as np
import pytest

from capsmith.core.errors import DataError, ImageError
from capsmith.data.folder import FolderConfig
from capsmith.data.records import read_dataset
from capsmith.data.shards.parquet import ParquetConfig
from capsmith.data.shards.webdataset import WebDatasetConfig
from capsmith.vision.images import load_image
from tests.support import toy
from tests.support.shards import tar_bytes, write_parquet, write_tars

PNG = b"\x89PNG\r\n\x1a\n and more"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = toy.make_data(tmp_path_factory.mktemp("toy") / "data")
    return read_dataset(FolderConfig(root=root)).records


def config(kind, settings):
    return {"webdataset": WebDatasetConfig, "parquet": ParquetConfig}[kind].model_validate(settings)


def read(kind, root, **settings):
    return read_dataset(config(kind, {"root": root, **settings}))


@pytest.fixture(params=["tars", "tars with json", "structs", "bytes"])
def written(request, folder, tmp_path):
    """The settings that read the toy data from shards of two images."""
    if request.param.startswith("tars"):
        return write_tars(tmp_path, folder, 2, as_json="json" in request.param)
    pytest.importorskip("pyarrow")
    return write_parquet(tmp_path, folder, 2, per_group=1, structs=request.param == "structs")


def test_records_are_those_of_a_folder(folder, written):
    corpus = read_dataset(config(written["type"], written))
    assert [(r.captions, r.split) for r in corpus.records] == [(r.captions, r.split) for r in folder]
    for mine, other in zip(corpus.records, folder, strict=True):
        assert (load_image(mine.path, (20, 20)) == load_image(other.path, (20, 20))).all()
    assert corpus.problems.by_kind == {} and corpus.repaired.by_kind == {}
    assert len({record.image_id for record in corpus.records}) == len(folder)
    assert [r.captions for r in corpus.split("dev")] == [r.captions for r in folder if r.split == "dev"]
    limited = read_dataset(config(written["type"], {**written, "limit": 2}))
    assert [r.split for r in limited.records] == ["train", "train", "dev", "dev", "test", "test"]
    assert list(config(written["type"], written).missing()) == []


def test_ids(folder, tmp_path):
    settings = write_tars(tmp_path, folder, 4)
    records = read_dataset(config("webdataset", settings)).records
    assert records[5].image_id == "train-000001.tar/000000005.png"
    assert records[5].path == tmp_path / records[5].image_id


# --- which shards -----------------------------------------------------------------------------------------------------


def shard(root, name, members):
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(tar_bytes(members))


def images(first, count, ending="png"):
    for n in range(first, first + count):
        yield f"{n:03d}.{ending}", PNG
        yield f"{n:03d}.txt", f"image number {n}\na second line".encode()


@pytest.mark.parametrize("pattern", ["t-{000..002}.tar", "t-*.tar", ["t-000.tar", "t-{001..002}.tar"], "*.tar"])
def test_patterns(tmp_path, pattern):
    for number in range(3):
        shard(tmp_path, f"t-{number:03d}.tar", images(10 * number, 2))
    corpus = read("webdataset", tmp_path, train=pattern, split={"dev": 0.2, "test": 0})
    assert [r.image_id for r in corpus.records] == [
        f"t-{n:03d}.tar/{10 * n + k:03d}.png" for n in range(3) for k in (0, 1)
    ]


def test_the_random_split_is_that_of_a_folder_with_these_ids(tmp_path):
    from capsmith.data.records import SplitConfig
    from capsmith.data.splits import seeded_split, seeded_split_codes

    shard(tmp_path, "a.tar", images(0, 40))
    corpus = read("webdataset", tmp_path, split={"seed": 4, "dev": 0.2})
    wanted = seeded_split([r.image_id for r in corpus.records], SplitConfig(seed=4, dev=0.2))
    assert {r.image_id: r.split for r in corpus.records} == wanted
    names = [f"{n}.jpg" for n in range(997)]
    for given in (
        SplitConfig(),
        SplitConfig(dev=0.5, test=0.49),
        SplitConfig(test=0),
        SplitConfig(groups=(names[:5],)),
    ):
        for some in (names, names[:3], names[:1]):
            codes = seeded_split_codes(some, given)
            splits = seeded_split(some, given)
            assert [("", "train", "dev", "test")[code] for code in codes] == [splits[name] for name in some]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"train": "t-{000..003}.tar"}, ("data.train", "t-001.tar", "t-000.tar")),
        ({"train": "u-*.tar"}, ("data.train", "u-*.tar")),
        ({"train": "t-{5..2}.tar"}, ("data.train", "{5..2}")),
        ({"train": "t-{0..99999999999}.tar"}, ("data.train", "{0..99999999999}")),
        ({"train": "*.tar", "dev": "t-*.tar"}, ("data.dev", "t-000.tar", "train")),
    ],
)
def test_missing_shards_are_named(tmp_path, settings, named):
    shard(tmp_path, "t-000.tar", images(0, 2))
    with pytest.raises(DataError) as error:
        read("webdataset", tmp_path, **settings)
    assert all(part in str(error.value) for part in named) and "\n" not in str(error.value)


def test_test_shards_need_dev_shards(tmp_path):
    with pytest.raises(ValueError, match="dev"):
        config("webdataset", {"root": tmp_path, "test": "*.tar"})
    assert [*config("webdataset", {"root": tmp_path / "no"}).missing()] == [f"data.root: no folder {tmp_path / 'no'}"]


# --- the convention of WebDataset -------------------------------------------------------------------------------------


def kinds(corpus):
    return {kind: len(examples) for kind, examples in corpus.problems.by_kind.items()}


def test_keys_members_and_what_is_counted_as_bad(tmp_path):
    members = [
        *images(0, 3),
        ("a/b.c.jpg", PNG),  # the extension is c.jpg
        ("a/b.txt", b"a caption without an image"),
        ("d.jpg", PNG),
        ("e.txt", b"only a caption"),
        ("f.png", PNG),
        ("f.txt", b" \n...\nFine words\nFine words"),
        ("../g.png", PNG),
        ("../g.txt", b"outside"),
        ("h.JPG", PNG),
        ("h.txt", "\ufeffCaf\u00e9".encode()),
        ("i.png", PNG),
        ("i.txt", b"\xff\xfe"),
        ("j.png", PNG),
        ("j.json", b'{"caption": 5}'),
        ("k.png", PNG),
        ("k.json", json.dumps({"caption": ["One thing", "Another"], "url": "u"}).encode()),
        ("._k.jpg", b"of macOS"),
        ("__meta__.json", b"{}"),
        ("00000_stats.json", b"{}"),
        ("000.png", b"again"),
    ]
    shard(tmp_path, "a.tar", members)
    corpus = read("webdataset", tmp_path, max_bad_fraction=1)
    captions = {r.image_id: r.captions for r in corpus.records}
    assert captions["a.tar/f.png"] == ("Fine words",) and captions["a.tar/h.JPG"] == ("Caf\u00e9",)
    assert captions["a.tar/k.png"] == ("One thing", "Another")
    assert sorted(captions) == [
        *(f"a.tar/00{n}.png" for n in range(3)),
        *(f"a.tar/{k}" for k in ("f.png", "h.JPG", "k.png")),
    ]
    found = kinds(corpus)
    assert found.pop("repeated member") == 1 and found.pop("member outside the shard") == 1
    assert found.pop("image without a caption") == 3  # d; i and j, whose captions cannot be read
    assert found.pop("caption that is not UTF-8") == 1 and found.pop("empty caption") == 1
    assert found.pop("duplicate row") == 1
    assert sum(n for kind, n in found.items() if kind.startswith("key without an image")) == 2
    assert sum(n for kind, n in found.items() if kind.startswith("JSON")) == 1
    with pytest.raises(DataError, match="max_bad_fraction"):
        read("webdataset", tmp_path)


def test_another_member_and_key_hold_the_captions(tmp_path):
    shard(
        tmp_path,
        "a.tar",
        [*images(0, 3), *((f"00{n}.json", json.dumps({"alt": f"Alt {n}"}).encode()) for n in range(3))],
    )
    corpus = read("webdataset", tmp_path, captions="json", caption_key="alt", split={"dev": 0.3, "test": 0})
    assert [r.captions for r in corpus.records] == [("Alt 0",), ("Alt 1",), ("Alt 2",)]


@pytest.mark.parametrize("bad", [b"", b"\x1f\x8b", b"no tar" * 300, "cut", "link", "endless"])
def test_a_broken_tar_is_one_line(tmp_path, bad):
    shard(tmp_path, "a.tar", images(0, 5))
    whole = (tmp_path / "a.tar").read_bytes()
    if bad == "endless":
        (tmp_path / "a.tar").write_bytes(whole[: 10 * 1024])  # between two members
        corpus = read("webdataset", tmp_path, split={"dev": 0.2, "test": 0})
        assert len(corpus.records) == 5 and len(corpus.repaired.by_kind) == 1
        return
    if bad == "link":
        (tmp_path / "b.tar").symlink_to("/dev/zero")
        (tmp_path / "a.tar").unlink()
    else:
        (tmp_path / "a.tar").write_bytes(whole[:2000] if bad == "cut" else bad)
    with pytest.raises(DataError) as error:
        read("webdataset", tmp_path)
    assert ".tar" in str(error.value) and "\n" not in str(error.value)


def test_an_image_that_is_none_is_reported_when_it_is_read(tmp_path):
    shard(tmp_path, "a.tar", [("a.png", b"text, not an image"), ("a.txt", b"a caption")])
    record = read("webdataset", tmp_path, split={"dev": 0, "test": 0}).records[0]
    with pytest.raises(ImageError, match="a.png"):
        load_image(record.path, (8, 8))
    shutil.rmtree(tmp_path)
    with pytest.raises(ImageError, match="a.png"):
        load_image(record.path, (8, 8))


# --- Parquet ----------------------------------------------------------------------------------------------------------


def table(root, name="train.parquet", **columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), root / name)


def test_rows_with_one_id_are_one_image(tmp_path):
    ids = [7, 8, 7, 9, 8]
    table(
        tmp_path,
        image=[PNG] * 5,
        caption=[f"Words {n}" for n in range(5)],
        id=ids,
        split=["train", "val", "train", "restval", "val"],
    )
    corpus = read("parquet", tmp_path, id_column="id")
    assert [(r.image_id, r.captions, r.split) for r in corpus.records] == [
        ("7", ("Words 0", "Words 2"), "train"),
        ("8", ("Words 1", "Words 4"), "dev"),
        ("9", ("Words 3",), "train"),
    ]
    assert corpus.records[1].path == tmp_path / "train.parquet/image/1"
    assert [r.split for r in read("parquet", tmp_path, dev="train.parquet", train=[], id_column="id").records] == [
        "dev"
    ] * 3
    table(tmp_path, image=[PNG] * 2, caption=["Words"] * 2, id=[7, 7], split=["train", "test"])
    with pytest.raises(DataError, match="7 is in train and in test"):
        read("parquet", tmp_path, id_column="id")


def test_unusable_rows_are_counted(tmp_path):
    table(
        tmp_path,
        picture=[PNG, None, PNG, PNG, PNG],
        a=["One", "Two", None, "", "Five"],
        b=[["More"], ["x"], None, [], [None, "Last"]],
        split=["train", "train", "dev", "train", "tran"],
    )
    columns = {"image_column": "picture", "caption_column": ["a", "b"]}
    corpus = read("parquet", tmp_path, **columns, max_bad_fraction=1)
    assert [(r.image_id, r.captions) for r in corpus.records] == [("train.parquet/0", ("One", "More"))]
    assert kinds(corpus) == {
        "row without an image": 1,
        "image without a caption": 1,
        "empty caption": 1,
        "unknown split (train, val or test)": 1,
    }
    with pytest.raises(DataError, match="max_bad_fraction"):
        read("parquet", tmp_path, **columns)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"image_column": "img"}, ("'img'", "image, caption")),
        ({"image_column": "url"}, ("'url'", "string", "download")),
        ({"caption_column": "text"}, ("'text'", "image, caption")),
        ({"caption_column": "image"}, ("'image'", "binary")),
        ({"id_column": "key"}, ("'key'",)),
        ({"split_column": "part"}, ("'part'",)),
    ],
)
def test_a_column_that_is_missing_or_holds_something_else(tmp_path, settings, named):
    table(tmp_path, image=[PNG], caption=["A caption"], url=["https://x/y.jpg"])
    with pytest.raises(DataError) as error:
        read("parquet", tmp_path, **settings)
    assert all(part in str(error.value) for part in ("train.parquet", *named))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all" * 50])
def test_a_file_that_is_no_parquet(tmp_path, content):
    pytest.importorskip("pyarrow")
    (tmp_path / "train.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet"):
        read("parquet", tmp_path)


# --- records in flat buffers ------------------------------------------------------------------------------------------


def test_compact_records_are_the_same_records(folder, tmp_path):
    from capsmith.data.compact_records import CompactRecords

    made = CompactRecords(tmp_path)
    for record in folder:
        made.append(record.image_id, f"images/{record.image_id}", record.captions, record.split)
    assert [(r.image_id, r.captions, r.split) for r in made] == [(r.image_id, r.captions, r.split) for r in folder]
    assert made[-1].path == tmp_path / "images" / folder[-1].image_id and made[1:3][1] == made[2]
    some = made.split("dev").select(np.array([2, 0]))
    assert [r.image_id for r in some] == ["blue_stripe.png", "blue_ball.png"] and some.image_id(1) == "blue_ball.png"
    assert [r.split for r in made.split("dev").in_splits(np.array([1, 0, 3]))] == ["train", "", "test"]
    assert made.merged() is made
    with pytest.raises(IndexError):
        made[len(folder)]
