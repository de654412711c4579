"""Printed text cannot control a terminal, files stay lossless, and closed streams are tolerated."""

import json
import os
import subprocess
import sys

import pytest

from capsmith.cli import main
from capsmith.core import terminal
from capsmith.core.errors import CapsmithError, ConfigError, because, escaped, printable, shortened
from capsmith.core.files import write_json
from capsmith.core.log import get_logger, log_file
from capsmith.core.yaml_io import dump_yaml, parse_yaml
from tests.support import toy

NASTY = "a\n\t\x1b[2J\x9b\x7f\u202e\u2066\u2028\ufeff\U000e0041\udce9"


@pytest.fixture(autouse=True)
def fresh():
    yield
    terminal.open_streams()


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["zoë", "می‌روم", "👩‍👩‍👧", "犬　猫", "a\u00a0b", "नमस्ते", "שלום"])
def test_ordinary_text_is_unchanged(text):
    assert escaped(text) == text


def test_control_characters_are_escaped():
    assert escaped(NASTY) == r"a\n\t\x1b[2J\x9b\x7f\u202e\u2066\u2028\ufeff\U000e0041\udce9"
    assert escaped("a\nb\tc", "\n") == "a\nb\\tc"


def test_long_paths_are_shortened_in_the_middle():
    path = "/".join(["folder"] * 600) + "/end.png"
    line = shortened(f"cannot read {path}: Permission denied")
    assert line.startswith("cannot read folder/") and line.endswith("/end.png: Permission denied")
    assert len(line) < 230 and line.count("…") == 1
    assert len(shortened("a b " * 2000)) == 680
    usual = "use --set training.learning_rate=0.001 " * 8
    assert shortened(usual) == usual


def test_each_line_of_a_list_of_errors_is_shortened():
    message = printable(ConfigError("config.yaml has 2 errors:\n  " + "x" * 999 + "\n  \x1b"))
    assert [len(line) for line in message.split("\n")] == [25, 162, 6]
    assert "\n" not in printable(CapsmithError("one\ntwo"))


def test_permission_errors_get_no_advice():
    assert because(PermissionError(13, "Permission denied"), "copy it again") == "Permission denied"
    assert because(OSError(5, "Input/output error"), "copy it again") == "Input/output error; copy it again"


# --- output -----------------------------------------------------------------------------------------------------------


def test_lines_cells_and_paths_are_escaped(capsys):
    terminal.print_line("a\tb", "c\nd")
    terminal.print_text("one\ntwo\x1b")
    terminal.print_path("zoë")
    out = capsys.readouterr().out
    assert out.splitlines()[:3] == [r"a\tb" + "\t" + r"c\nd", "one", r"two\x1b"]


def test_paths_are_written_unchanged_to_a_pipe():
    code = "from capsmith.core import terminal; terminal.open_streams(); terminal.print_path('caf\\udce9\\n')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).stdout == b"caf\xe9\n\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_json_is_safe_and_lossless(encoding):
    value = {"image": NASTY, "caption": "zoë 犬 👩‍👧", "n": [1, 2.5, None]}
    code = f"from capsmith.core import terminal; terminal.open_streams(); terminal.print_json({value!a}, indent=1)"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    raw = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, env=environment).stdout
    assert json.loads(raw.decode(encoding)) == value
    assert all(c.isprintable() or c == "\n" or c == "\u200d" for c in raw.decode(encoding))


def test_files_stay_lossless(tmp_path):
    write_json(tmp_path / "a.json", {NASTY: NASTY})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {NASTY: NASTY}
    value = {"root": "a\u202eb", "other": "zoë"}
    assert parse_yaml(dump_yaml(value)) == value and dump_yaml(value).replace("\n", "").isprintable()


def test_log_messages_are_single_escaped_lines(tmp_path, capsys):
    with log_file(tmp_path / "log.txt"):
        get_logger("capsmith.test").info(f"data: {NASTY}")
        get_logger("capsmith.test").info("p" * 4000)
    first, second = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert first == f"data: {escaped(NASTY)}" and len(second) == 160
    assert capsys.readouterr().err.splitlines() == [first, second]


def test_names_in_tables_are_escaped(tmp_path, capsys):
    said = tmp_path / "\x1b[1mour\ncaptions.jsonl"
    lines = [{"image": row["image"], "caption": row["caption"]} for row in toy.rows()[::2]]
    lines[0]["caption"] = "a \x1b]0;title\x07 ball"
    said.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["score", "--hypotheses", str(said), "--references", str(said), "--tokeniser", "none", "--diversity"]
    assert main([*command, "--explain", "red_ball.png"]) == 0
    out = capsys.readouterr().out
    assert r"\x1b[1mour\ncaptions.jsonl" in out and r"\x1b]0;title\x07" in out
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize("arguments", [["a\x1b[31m"], ["list", "\u202e"], ["train", "--config", "x", "--\x07"]])
def test_command_line_errors_are_escaped(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert capsys.readouterr().err.replace("\n", "").isprintable()


# --- streams that are closed, broken, full ----------------------------------------------------------------------------


def shell(script, *arguments, **more):
    """Runs a line of bash in which ``C`` stands for capsmith; returns with the exit code of a pipe's first command."""
    script = f'C() {{ "{sys.executable}" -m capsmith "$@"; }}; {script}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", script, "bash", *map(str, arguments)], capture_output=True, timeout=180, **more
    )


@pytest.fixture
def training(tmp_path, tiny_run):
    config = toy.write_config(tmp_path / "toy.yaml", toy.settings(tiny_run.data, tiny_run.cache))
    return config, tmp_path / "run"


def finished(run):
    assert (run / "report" / "index.html").exists()
    assert "report: " in (run / "log.txt").read_text().splitlines()[-1]


@pytest.mark.parametrize("ending", ["2>&1 | true", "<&- >&- 2>&-"])
def test_a_training_continues_when_its_output_is_closed(training, ending):
    done = shell(f'C train --config "$1" --run "$2" {ending}', *training)
    assert done.returncode == 0, done.stderr
    finished(training[1])


def test_captions_are_printed_without_standard_error(tiny_run, tmp_path):
    image = tiny_run.data / "images" / "red_ball.png"
    done = shell('C caption "$1" "$2" "$3" 2>&-', tiny_run.run, image, tmp_path / "gone.png")
    assert done.returncode == 2 and done.stdout.decode().startswith(f"{image}\t") and not done.stderr


def test_captioning_requires_standard_output_or_a_sheet(tiny_run, tmp_path):
    image = tiny_run.data / "images" / "red_ball.png"
    done = shell('C caption "$1" "$2" >&-', tiny_run.run, image)
    assert done.returncode == 2 and done.stderr.startswith(b"capsmith: standard output is closed")
    done = shell('C caption "$1" "$2" --show "$3" | true', tiny_run.run, image, tmp_path / "sheet.png")
    assert done.returncode == 0 and not done.stderr and (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("C list encoders | true", 141),
        ("C list encoders >&-", 2),
        ("C list encoders > /dev/full", 2),
        ("C validate --config quickstart | true", 0),
        ("C validate --config quickstart >&-", 0),
        ("C --help | true", 0),
        ("C --help >&-", 0),
        ("C list encoders <&-", 0),
        ("C list nonsense 2>&-", 2),
        ("C validate --config nonsense 2>&- >&- <&-", 2),
    ],
)
def test_exit_codes_with_closed_streams(command, code):
    done = shell(command.replace("| true", "| (exec <&-; sleep 0.1)"))
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    assert done.stderr.count(b"\n") == (1 if code == 2 and "2>&-" not in command else 0)


def test_files_do_not_reuse_the_descriptors_of_closed_streams(tmp_path):
    code = (
        "import os, sys; from capsmith.core import terminal; terminal.open_streams()\n"
        "file = open(sys.argv[1], 'w'); assert file.fileno() > 2; print('lost'); print('lost', file=sys.stderr)"
    )
    subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", code, tmp_path / "a"], check=True)
    assert (tmp_path / "a").read_text() == ""


# --- encodings --------------------------------------------------------------------------------------------------------

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [(ASCII, "zoë".encode()), ({"PYTHONIOENCODING": "ascii"}, b"caf\xe9")],
    ids=["locale", "streams, and a run whose name is not UTF-8"],
)
def test_a_training_in_an_ascii_locale(tmp_path, tiny_run, environment, name):
    data = toy.make_data(tmp_path / "données")
    os.rename(data / "images" / "red_ball.png", data / "images" / "röd_ball.png")
    rows = [{**row, "image": row["image"].replace("red_ball", "röd_ball")} for row in toy.rows()]
    rows[0]["caption"] += " 犬"
    toy.write_captions(data / "captions.csv", rows)
    config, run = (
        toy.write_config(tmp_path / "zoë.yaml", toy.settings(data, tmp_path / "cache")),
        bytes(tmp_path) + b"/" + name,
    )
    environment = {**os.environ, **environment, "PYTHONWARNDEFAULTENCODING": "1", "PYTHONWARNINGS": "always"}
    done = shell('C train --config "$1" --run "$2"', config, os.fsdecode(run), env=environment)
    assert done.returncode == 0, done.stderr
    assert run in done.stdout.splitlines()
    finished(tmp_path / os.fsdecode(name))
    assert "犬" in (tmp_path / os.fsdecode(name) / "vocabulary.json").read_text(encoding="utf-8")
    warned = [line for line in done.stderr.decode().splitlines() if "EncodingWarning" in line and "capsmith" in line]
    assert not warned  # every file is opened with an explicit encoding
