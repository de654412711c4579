import errno
import json
import os
import stat
import subprocess
import sys

import pytest

from capsmith.core import temporary
from capsmith.core.errors import CapsmithError, CheckpointError, DataError
from capsmith.core.files import atomic, read_json, write_json, write_text


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_atomic_writes_text_and_bytes(tmp_path):
    with atomic(tmp_path / "deep" / "er" / "a.txt") as file:
        file.write("größer\n")
        assert not (tmp_path / "deep/er/a.txt").exists()
    assert (tmp_path / "deep/er/a.txt").read_bytes() == "größer\n".encode()
    with atomic(tmp_path / "b", "wb") as file:
        file.write(b"\0\xff")
    assert (tmp_path / "b").read_bytes() == b"\0\xff"
    assert files(tmp_path) == ["b", "deep"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_failure_inside_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(CapsmithError if isinstance(error, OSError) else type(error)):
        with atomic(path) as file:
            file.write("new" * 100_000)
            raise error
    assert path.read_text() == "old"
    assert files(tmp_path) == ["a.txt"]


def test_a_failure_without_an_old_file_leaves_none(tmp_path):
    with pytest.raises(RuntimeError):
        with atomic(tmp_path / "a.txt") as file:
            file.write("half")
            raise RuntimeError
    assert files(tmp_path) == []


def test_killed_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from capsmith.core.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as file:\n"
        "    file.write('new' * 100000); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == -9
    assert path.read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_a_one_line_error(tmp_path, monkeypatch):
    """The temporary file is created on a device that is always full."""

    def full(dir, prefix, suffix):
        (tmp_path / "temporary").symlink_to("/dev/full")
        return os.open("/dev/full", os.O_WRONLY), str(tmp_path / "temporary")

    monkeypatch.setattr(temporary.tempfile, "mkstemp", full)
    with pytest.raises(CapsmithError, match=r"^.*a\.txt: No space left on device$"):
        write_text(tmp_path / "a.txt", "x" * 100_000)
    assert files(tmp_path) == []


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(CapsmithError, match="cannot write .*b.txt: .*file"):
        write_text(tmp_path / "a" / "b.txt", "x")


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027  # and the umask is unchanged
    finally:
        os.umask(before)


def test_json_round_trip(tmp_path):
    value = {"ключ": [1, 2.5, None, "ü"], "nested": {"a": True}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "ключ" in (tmp_path / "a.json").read_text(encoding="utf-8")
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(value).encode())
    assert read_json(tmp_path / "bom.json") == value


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 200_000, b'{"a": 1} x'])
def test_damaged_json_raises_the_requested_error(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match="JSON") as caught:
        read_json(tmp_path / "a.json", DataError)
    assert "\n" not in str(caught.value)


def test_a_missing_json_file_raises_the_requested_error(tmp_path):
    with pytest.raises(CheckpointError, match="no.json: No such file"):
        read_json(tmp_path / "no.json", CheckpointError)
