"""Archives that unpack to too much data, or whose directory contradicts their content."""

import io
import struct
import warnings
import zipfile

import pytest

from capsmith.core.errors import FeatureError
from capsmith.core.readers.archives import (
    MAX_RATIO,
    UNCHECKED_SIZE,
    ArchiveError,
    open_archive,
    read_member,
    verify_members,
)


def archive(path, members, packed=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packed) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            file.writestr(name, content)
    return path


def relisted(path, name, offset, value):
    """Changes four bytes of a member's entry in the central directory."""
    content = path.read_bytes()
    place = content.rindex(name) - 46 + offset
    path.write_bytes(content[:place] + struct.pack("<L", value) + content[place + 4 :])
    return path


def test_members_are_read(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", b"one"), ("b", b"")])
    with open_archive(path) as opened:
        assert read_member(opened, "a", 3) == b"one" and read_member(opened, "b", 0) == b""
        verify_members(opened)
        with pytest.raises(ArchiveError, match="a .*3 bytes.*2 bytes"):
            read_member(opened, "a", 2)
        with pytest.raises(ArchiveError, match="no c"):
            read_member(opened, "c", 2)


def test_small_or_moderately_compressed_members_are_read(tmp_path):
    text = b"".join(b"word %d\n" % n for n in range(4_000_000))
    path = archive(tmp_path / "a.zip", [("zeros", bytes(UNCHECKED_SIZE)), ("text", text)])
    with open_archive(path) as opened:
        assert len(text) > UNCHECKED_SIZE and opened.getinfo("text").compress_size * MAX_RATIO > len(text)
        verify_members(opened)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", [("zeros", bytes(UNCHECKED_SIZE + 1))])
    with pytest.raises(ArchiveError, match="'zeros'.*16.8 MB"), open_archive(path):
        pass


@pytest.mark.parametrize("listed", [10, 1_000_000, 1_000_001])
def test_a_member_with_a_false_size_is_refused(tmp_path, listed):
    path = relisted(archive(tmp_path / "a.zip", [("zeros", bytes(10**6))]), b"zeros", 24, listed)
    if listed == 10**6:
        with open_archive(path) as opened:
            verify_members(opened)
        return
    with pytest.raises(ArchiveError, match="CRC|listed size"), open_archive(path) as opened:
        verify_members(opened)


def test_unpacking_stops_at_the_listed_size(tmp_path):
    path = relisted(archive(tmp_path / "a.zip", [("zeros", bytes(UNCHECKED_SIZE))]), b"zeros", 24, 10)
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(ArchiveError, match="CRC"), open_archive(path) as opened:
        read_member(opened, "zeros", 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("members", "packed", "says"),
    [
        ([("a", b"1"), ("a", b"2")], zipfile.ZIP_STORED, "it holds 'a' twice"),
        ([("a", b"1" * 99)], zipfile.ZIP_BZIP2, "unusual compression"),
        ([("a", b"1" * 99)], zipfile.ZIP_LZMA, "unusual compression"),
        ([(f"{n:0100d}", b"") for n in range(30_000)], zipfile.ZIP_STORED, "its list of members is too long"),
    ],
)
def test_malformed_archives_are_refused(tmp_path, members, packed, says):
    with pytest.raises(ArchiveError, match=says), open_archive(archive(tmp_path / "a.zip", members, packed)):
        pass


@pytest.mark.parametrize("cut", [0, 1, 30, 60, -1])
def test_archives_truncated_at_any_byte_are_refused(tmp_path, cut):
    path = archive(tmp_path / "a.zip", [("a", b"one" * 99)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArchiveError), open_archive(path) as opened:
        verify_members(opened)


def test_unrelated_errors_are_not_converted(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", b"one")])
    with pytest.raises(FeatureError, match="mine"), open_archive(path):
        raise FeatureError("mine")
    with pytest.raises(FileNotFoundError), open_archive(tmp_path / "gone"):
        pass


def test_the_file_is_closed(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", b"one")])
    with open_archive(path) as opened:
        file = opened.fp
    assert isinstance(file, io.BufferedReader) and file.closed
