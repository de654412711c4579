"""Only regular files are opened, and only up to a size limit."""

import os
import socket
from pathlib import Path

import pytest

from capsmith.core.readers.regular_files import describe_special, open_regular, read_bytes, read_text, shown_size


@pytest.fixture
def special(tmp_path):
    """Returns paths that are not regular files, by kind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket may have 107 characters
        opened.bind("socket")
        os.chdir(here)
        yield tmp_path


@pytest.mark.parametrize("name", ["pipe", "device", "socket"])
def test_special_files_are_not_opened(special, name):
    with pytest.raises(OSError) as caught:
        open_regular(special / name)
    assert caught.value.strerror == f"it is a {name}, not a file" == describe_special(special / name)


def test_a_folder_raises_the_systems_own_error(special):
    with pytest.raises(IsADirectoryError) as caught:
        read_bytes(special / "folder")
    assert caught.value.strerror == "Is a directory"


def test_a_pipe_with_a_writer_is_refused_too(special):
    both = os.open(special / "pipe", os.O_RDWR)
    os.write(both, b"x")
    with pytest.raises(OSError, match="pipe"):
        read_bytes(special / "pipe")
    os.close(both)


def test_missing_files_and_invalid_names_are_errors(tmp_path):
    assert describe_special(tmp_path / "gone") is None and describe_special(Path("a\0b")) is None
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")
    with pytest.raises(OSError, match="null"):
        open_regular(Path("a\0b"))


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_a_file_up_to_the_limit_is_read(tmp_path, size):
    (tmp_path / "a").write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("a")
    assert read_bytes(tmp_path / "link", limit=10) == b"x" * size


def test_a_file_beyond_the_limit_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(OSError, match="11 bytes.*10 bytes"):
        read_bytes(tmp_path / "a", limit=10)


def test_a_sparse_file_is_refused_without_reading_it(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(10**13)
    with pytest.raises(OSError, match="10,000.0 GB"):
        read_bytes(tmp_path / "a")


def test_files_of_unknown_size_are_read_up_to_the_limit():
    result = Path("/proc/self/status")
    if not result.exists():
        pytest.skip("needs /proc")
    assert result.stat().st_size == 0 and b"Name:" in read_bytes(result)
    with pytest.raises(OSError, match="allowed 10 bytes"):
        read_bytes(result, limit=10)


def test_text_is_read_without_its_byte_order_mark_and_with_its_line_ends(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\nb\xff")
    assert read_text(tmp_path / "a", errors="replace") == "a\r\nb\ufffd"
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a")


def test_sizes_are_formatted():
    assert [shown_size(n) for n in (0, 999, 1500, 2_100_000_000)] == ["0 bytes", "999 bytes", "1.5 kB", "2.1 GB"]
