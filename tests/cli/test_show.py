"""``capsmith show``."""

from capsmith.cli import main
from tests.support import shapes


def test_summary_and_diagram_of_a_run(tmp_path, capsys):
    out = tmp_path / "model.svg"
    assert main(["show", str(shapes.trained()), "--layers", "--diagram", str(out)]) == 0
    message = capsys.readouterr().out
    assert "inject" in message and "192" in message and "cell_0" in message and str(out) in message
    assert "<svg" in out.read_text()


def test_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "notes.svg").write_text("mine")
    for arguments in (
        ["show", str(tmp_path)],
        ["show", str(shapes.trained()), "--diagram", str(tmp_path / "notes.svg")],
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1 and not captured.out
    assert (tmp_path / "notes.svg").read_text() == "mine"
