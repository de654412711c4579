import pytest

from capsmith.core.errors import CheckpointError
from capsmith.core.readers.number_tables import read_number_table


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_number_table(path, CheckpointError, "copy it again")


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_numbers_and_empty_cells_are_read(tmp_path, end):
    result = read(tmp_path / "h.csv", "\ufeffepoch,loss\n1,2.5e-3\n2," + end)
    assert result == [{"epoch": 1.0, "loss": 0.0025}, {"epoch": 2.0}]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "line 1 does not name each column once"),
        ("a,\n", "line 1 does not name each column once"),
        ("a,a\n1,2\n", "line 1 does not name each column once"),
        ("a,b\n1,2\n1\n", "line 3 has 1 cells, not 2"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells, not 2"),
        ("a,b\n\n", "line 2 has 0 cells, not 2"),
        ("a,b\n1,x\n", "line 2: 'x' in column 'b' is not a number"),
        ("a,b\n1,nan\n", "line 2: 'nan' in column 'b'"),
        ("a,b\n1,-inf\n", "'-inf' in column 'b'"),
        ("a,b\n1, 2\n", "' 2' in column 'b'"),
        ("a,b\n1,٣\n", "'٣' in column 'b'"),
        ("a,b\n1,1e999\n", "'1e999' in column 'b'"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ('a,b\n1,"2"3\n', "line 2: "),
        ("a,b\n1," + "9" * 200_000 + "\n", "line 2: field larger than field limit"),
        (b"a,b\n1,\xff\n", "'utf-8' codec"),
        (b"a,b\n1,\x00\n", r"'\\x00' in column 'b'|NUL"),
        ("a,b\n1,\x1b[2J\n", r"'\\x1b\[2J' in column 'b'"),
    ],
)
def test_other_content_is_refused(tmp_path, content, says):
    with pytest.raises(CheckpointError, match=f"h.csv is damaged: .*{says}") as caught:
        read(tmp_path / "h.csv", content)
    assert str(caught.value).endswith("; copy it again") and str(caught.value).isprintable()


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="h.csv: No such file"):
        read_number_table(tmp_path / "h.csv", CheckpointError, "copy it again")
