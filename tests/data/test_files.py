"""Files are located, or the error names existing ones; text is read in any usual encoding."""

import pytest

from capsmith.core.errors import DataError
from capsmith.core.readers.text_files import read_text
from capsmith.data.files import locate, numbered_lines
from capsmith.data.folder import FolderConfig


@pytest.mark.parametrize(
    "raw",
    [
        "a é\nb\n".encode(),
        "a é\r\nb\r\n".encode(),
        "a é\rb\r".encode(),
        b"\xef\xbb\xbf" + "a é\nb\n".encode(),
    ],
    ids=["plain", "crlf", "cr", "bom"],
)
def test_encodings_and_line_ends(tmp_path, raw):
    (tmp_path / "t").write_bytes(raw)
    assert read_text(tmp_path / "t") == "a é\nb\n"


def test_only_line_ends_end_lines(tmp_path):
    (tmp_path / "t").write_text("one\u2028still one\x85\x0bone\n\n \nfour", encoding="utf-8")
    assert list(numbered_lines(tmp_path / "t")) == [(1, "one\u2028still one\x85\x0bone"), (4, "four")]


def test_an_encoding_error_names_line_and_byte(tmp_path):
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfplain\nca" + "fé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"t, line 2, byte 4: 0xe9 is not UTF-8"):
        read_text(tmp_path / "t")
    (tmp_path / "t").write_text("plain, in rows", encoding="utf-16")
    assert read_text(tmp_path / "t") == "plain, in rows"
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged UTF-16 text .truncated data, byte"):
        read_text(tmp_path / "t")
    (tmp_path / "t").write_text("plain, in rows", encoding="utf-16-le")
    with pytest.raises(DataError, match="UTF-16 text without a byte order mark: save it as UTF-8"):
        read_text(tmp_path / "t")


def test_locate_names_existing_files(tmp_path):
    config = FolderConfig(root=tmp_path)
    (tmp_path / "caption.csv").write_text("x")
    (tmp_path / "Images").mkdir()
    with pytest.raises(DataError, match=r"data.captions: .* has no file captions.csv; did you mean 'caption.csv'"):
        locate(config, config.captions, "captions")
    with pytest.raises(DataError, match=r"data.images: .*'Images'\? \(folders found: Images\)"):
        locate(config, config.images, "images", folder=True)
    with pytest.raises(DataError, match=r"has no file Images .*\(files found: caption.csv\)"):
        locate(config, tmp_path / "Images", "captions")
    assert locate(config, tmp_path / "caption.csv", "captions").read_text() == "x"


def test_a_missing_root(tmp_path):
    config = FolderConfig(root=tmp_path / "absent")
    with pytest.raises(DataError, match=r"data.root: the folder .*absent does not exist"):
        locate(config, config.captions, "captions")
