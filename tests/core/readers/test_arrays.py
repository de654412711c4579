"""Damaged archives of arrays, including inputs that fuzzing found."""

import io
import zipfile

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.arrays import FLOATS, INTEGERS, ArraySpec, read_array, read_arrays, read_header, read_headers

SCHEMA = {"a": ArraySpec(INTEGERS, ("n",))}


def archive(path, **changes):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3))
    data = bytearray(buffer.getvalue())
    for place, value in changes.values():
        data[place] = value
    path.write_bytes(data)
    return path


def central(path):
    """Returns the offset of the central directory."""
    return archive(path).read_bytes().index(b"PK\x01\x02")


def test_written_arrays_are_read_back(tmp_path):
    result = read_arrays(archive(tmp_path / "x.npz"), SCHEMA, CheckpointError, "do")
    assert list(result) == ["a"] and result["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("offset", [6, 10], ids=["version 8.1", "method 77"])
def test_archives_of_unsupported_versions_or_methods_are_refused(tmp_path, offset):
    path = tmp_path / "x.npz"
    place = central(path) + offset
    with pytest.raises(CheckpointError, match=r"x.npz is damaged: .*; copy it again"):
        read_arrays(archive(path, one=(place, 81 if offset == 6 else 77)), SCHEMA, CheckpointError, "copy it again")


@pytest.mark.parametrize("content", [b"", b"x" * 99, b"PK\x03\x04"])
def test_files_that_are_not_archives_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_arrays(tmp_path / "x.npz", SCHEMA, CheckpointError, "do")


def test_members_that_are_not_arrays_are_refused(tmp_path):
    for name, value in (("note.txt", b"x"), ("a.npy", b"x")):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
            file.writestr(name, value)
        with pytest.raises(CheckpointError, match="damaged: .*(note.txt|magic)"):
            read_arrays(tmp_path / "x.npz", SCHEMA, CheckpointError, "do")
    np.savez(tmp_path / "x.npz", a=np.array([{}], object))
    with pytest.raises(CheckpointError, match="damaged"):
        read_arrays(tmp_path / "x.npz", SCHEMA, CheckpointError, "do")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_arrays(tmp_path / "x.npz", SCHEMA, CheckpointError, "do")


# --- schemas ----------------------------------------------------------------------------------------------------------

PAIR = {"a": ArraySpec(FLOATS, ("n", 3)), "b": ArraySpec(INTEGERS, ("n",), minimum=0, maximum=9)}


def read(tmp_path, schema=PAIR, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return read_arrays(tmp_path / "x.npz", schema, CheckpointError, "do")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8"])
def test_arrays_that_match_a_schema_are_read(tmp_path, kind, order):
    values = np.arange(6, dtype=kind).reshape(2, 3, order=order)
    result = read(tmp_path, b=np.array([0, 9], np.uint8), a=values)
    assert list(result) == ["a", "b"] and result["a"].dtype == np.dtype(kind)
    np.testing.assert_array_equal(result["a"], values)


A, B = np.ones((2, 3), np.float32), np.array([1, 2])


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": A}, "it lacks 'b'"),
        ({"a": A, "b": B, "c": B}, "it holds 'c'"),
        ({"a": A, "b": np.array([1, 2, 3])}, r"'b' has the shape \(3,\), not \(2\)"),
        ({"a": A[:, :2], "b": B}, r"'a' has the shape \(2, 2\), not \(n, 3\)"),
        ({"a": A[0], "b": B}, r"'a' has the shape \(3,\), not"),
        ({"a": A, "b": np.array([1, -1])}, "'b' holds -1, less than 0"),
        ({"a": A, "b": np.array([1, 10])}, "'b' holds 10, more than 9"),
        ({"a": A * np.nan, "b": B}, "'a' holds NaN"),
        ({"a": A * np.float32(np.inf), "b": B}, "'a' holds NaN"),
        ({"a": A, "b": B.astype(float)}, "'b' holds float64, not integers"),
        ({"a": A.astype(int), "b": B}, "'a' holds int64, not floating-point numbers"),
        ({"a": A, "b": B > 1}, "'b' holds bool, not integers"),
        ({"a": A.astype(complex), "b": B}, "'a': it holds complex128, not numbers"),
        ({"a": A.astype("S3"), "b": B}, r"'a': it holds .*S3, not numbers"),
        ({"a": A, "b": B.astype("M8[s]")}, "'b': it holds datetime64"),
        ({"a": A.astype(np.longdouble), "b": B}, "'a': it holds float128, not numbers"),
        ({"a": np.zeros((2, 3), [("x", "f4")]), "b": B}, "'a': it holds .*x.*, not numbers"),
        ({"a": np.zeros((1,) * 9), "b": B}, "'a': its shape is"),
    ],
)
def test_arrays_that_do_not_match_a_schema_are_refused(tmp_path, arrays, says):
    with pytest.raises(CheckpointError, match=f"x.npz is damaged: {says}.*; do"):
        read(tmp_path, **arrays)


def test_a_single_array_and_headers_alone_can_be_read(tmp_path):
    np.savez(tmp_path / "x.npz", a=A, b=B)
    assert read_array(tmp_path / "x.npz", "b", PAIR["b"], CheckpointError, "do").tolist() == [1, 2]
    with pytest.raises(CheckpointError, match="'c'"):
        read_array(tmp_path / "x.npz", "c", PAIR["b"], CheckpointError, "do")
    result = read_headers(tmp_path / "x.npz", CheckpointError, "do")
    assert {name: header.shape for name, header in result.items()} == {"a": (2, 3), "b": (2,)}


def npy(header):
    """A ``.npy`` file of 24 bytes whose header is this text."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3.0,)}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30},)}}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,)}",
        "{'descr': ('<f8', (3,)), 'fortran_order': False, 'shape': ()}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': 'sum', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'shape': (3,)}",
        "__import__('os').getpid()",
        "[" * 90,
    ],
)
def test_damaged_headers_are_refused(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", npy(header))
    with pytest.raises(CheckpointError, match="x.npz is damaged: 'a': ") as caught:
        read_arrays(tmp_path / "x.npz", {"a": ArraySpec(FLOATS, ("n",))}, CheckpointError, "do")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", ["(2,)", "(4,)", "(281474976710655,)", "(0,)"])
def test_headers_with_a_false_size_are_refused(tmp_path, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", npy(header))
    with pytest.raises(CheckpointError, match="'a' .*header"):
        read_arrays(tmp_path / "x.npz", {"a": ArraySpec(FLOATS, ("n",))}, CheckpointError, "do")


def test_the_header_of_an_npy_file_is_checked(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(np.zeros((2, 3), np.float16)))
    with (tmp_path / "x.npy").open("rb") as file:
        header = read_header(file)
    assert (header.shape, header.fortran_order, header.dtype.name) == ((2, 3), True, "float16")
    assert header.size == (tmp_path / "x.npy").stat().st_size
