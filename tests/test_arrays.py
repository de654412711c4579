"""Archives of arrays that were damaged: the bytes that fuzzing found, among others."""

import io
import zipfile

import numpy as np
import pytest

from capsmith.arrays import read_arrays
from capsmith.errors import CheckpointError


def archive(path, **changes):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    data = bytearray(buffer.getvalue())
    for place, value in changes.values():
        data[place] = value
    path.write_bytes(data)
    return path


def central(path):
    """Where the list of members begins."""
    return archive(path).read_bytes().index(b"PK\x01\x02")


def test_what_was_written_comes_back(tmp_path):
    found = read_arrays(archive(tmp_path / "x.npz"), CheckpointError, "do")
    assert list(found) == ["a"] and found["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("offset", [6, 10], ids=["version 8.1", "method 77"])
def test_archives_of_another_kind(tmp_path, offset):
    path = tmp_path / "x.npz"
    place = central(path) + offset
    with pytest.raises(CheckpointError, match=r"x.npz is damaged: .*; copy it again"):
        read_arrays(archive(path, one=(place, 81 if offset == 6 else 77)), CheckpointError, "copy it again")


@pytest.mark.parametrize("content", [b"", b"x" * 99, b"PK\x03\x04"])
def test_no_archives(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_arrays(tmp_path / "x.npz", CheckpointError, "do")


def test_members_that_are_no_arrays(tmp_path):
    for name, value in (("note.txt", b"x"), ("a.npy", b"x")):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
            file.writestr(name, value)
        with pytest.raises(CheckpointError, match="no array|damaged"):
            read_arrays(tmp_path / "x.npz", CheckpointError, "do")
    np.savez(tmp_path / "x.npz", a=np.array([{}], object))
    with pytest.raises(CheckpointError, match="damaged"):
        read_arrays(tmp_path / "x.npz", CheckpointError, "do")


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read .*: No such file or directory; do"):
        read_arrays(tmp_path / "x.npz", CheckpointError, "do")
