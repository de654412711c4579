"""`capsmith init` on folders of WebDataset tars and Parquet files."""

import pytest
import yaml

from capsmith.config import load_config
from capsmith.core.errors import DataError
from capsmith.data.folder import FolderConfig
from capsmith.data.onboarding.init import init_config
from capsmith.data.onboarding.layout import detect_layout
from capsmith.data.onboarding.summary import describe
from capsmith.data.records import read_dataset
from tests.support import toy
from tests.support.shards import tar_bytes, write_parquet, write_tars


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = toy.make_data(tmp_path_factory.mktemp("toy") / "data")
    return read_dataset(FolderConfig(root=root)).records


@pytest.mark.parametrize("kind", ["webdataset", "parquet", "parquet below data"])
def test_shards_become_a_config(folder, tmp_path, kind):
    root = tmp_path / "shards"
    if kind == "webdataset":
        write_tars(root, folder, 4)
    else:
        pytest.importorskip("pyarrow")
        write_parquet(root / "data" if kind.endswith("data") else root, folder, 4)
    layout, stats, text = init_config(root, None, tmp_path / "mine.yaml")
    data = load_config(yaml.safe_load(text)).data
    assert data.type == kind.split()[0] and layout.has_splits and data == layout.config
    corpus = read_dataset(data)
    assert [(r.captions, r.split) for r in corpus.records] == [(r.captions, r.split) for r in folder]
    assert stats.captions == 24 and any("train" in line and "dev" in line for line in describe(stats, layout))


def test_shards_without_splits_get_a_random_one(tmp_path):
    members = [(f"{n:03d}.{e}", c) for n in range(30) for e, c in (("png", b"\x89PNG"), ("txt", f"Words {n}".encode()))]
    for number in range(2):
        (tmp_path / f"{number:05d}.tar").write_bytes(tar_bytes(members[30 * number : 30 * number + 30]))
    layout = detect_layout(tmp_path)
    assert not layout.has_splits and (layout.config.train, layout.config.dev) == ("*.tar", None)


def test_a_parquet_file_without_images(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"url": ["https://x/y.jpg"], "caption": ["Words"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="a.parquet: no column holds bytes of images; it has url, caption"):
        detect_layout(tmp_path)
