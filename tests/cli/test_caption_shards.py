"""``capsmith caption --input``: what is said and refused; the shards are tested in ``tests/deploy/batch``."""

import json
import shutil

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow")

from pyarrow import parquet  # noqa: E402

from capsmith.cli import main  # noqa: E402
from capsmith.core.starter import STARTER, has_starter  # noqa: E402
from tests.support.fake_captioner import make_images  # noqa: E402

pytestmark = pytest.mark.skipif(not has_starter(), reason="needs the starter")


@pytest.fixture
def photos(tmp_path):
    make_images(tmp_path / "photos", 3)
    return tmp_path / "photos"


def caption(*arguments):
    return main(["caption", STARTER, *map(str, arguments)])


def rows(folder):
    return parquet.read_table(folder / "shards").to_pylist()


def test_the_last_line_names_the_folder_and_the_numbers(photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert caption("--input", photos, "--output", out) == 0
    assert capsys.readouterr().out == f"{out}: 3 captions in 1 shard\n"
    shutil.rmtree(out)
    (photos / "a.png").write_bytes(b"broken")
    assert caption("--input", photos, "--output", out) == 2
    shown = capsys.readouterr()
    assert shown.out == f"{out}: 3 captions in 1 shard, 1 unreadable image\n"
    assert shown.err.splitlines()[-1].startswith("capsmith: a.png: ")
    assert caption("--input", photos, "--output", out, "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"output": str(out), "shards": 1, "rows": 3, "failed": 1}


def test_options_of_the_search_and_of_the_input(photos, tmp_path):
    (photos / "deep").mkdir()
    (photos / "0000.png").rename(photos / "deep" / "a.png")
    options = ["--n", 2, "--prefix", "two dogs", "--no-recursive", "--batch-size", 1, "--workers", 1]
    assert caption("--input", photos, "--output", tmp_path / "out", *options) == 0
    found = rows(tmp_path / "out")
    assert [row["image"] for row in found] == ["0001.png", "0002.png"]
    assert all(len(row["captions"]) == 2 and row["caption"].startswith("two dogs") for row in found)


def test_a_file_and_a_pattern(photos, tmp_path):
    assert caption("--input", photos / "0001.png", "--output", tmp_path / "one") == 0
    assert [row["image"] for row in rows(tmp_path / "one")] == ["0001.png"]
    assert caption("--input", f"{photos}/*[12].png", "--output", tmp_path / "two") == 0
    assert [row["image"] for row in rows(tmp_path / "two")] == ["0001.png", "0002.png"]
    shutil.copytree(photos, tmp_path / "year [12]")
    assert caption("--input", tmp_path / "year [12]", "--output", tmp_path / "three") == 0
    assert len(rows(tmp_path / "three")) == 3


def test_a_wrong_input_does_not_claim_the_folder(photos, tmp_path):
    out = tmp_path / "out"
    assert caption("--input", tmp_path / "fotos", "--output", out) == 2
    assert caption("--input", photos, "--output", out) == 0
    assert caption("--input", tmp_path, "--output", out) == 2


def test_the_output_may_be_in_the_input(photos):
    for _ in range(2):
        assert caption("--input", photos, "--output", photos / "captions") == 0
    assert len(rows(photos / "captions")) == 3
