"""``exec:``: what the program gets and answers, and how it is ended."""

import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import CapsmithError, ConfigError, ImageError
from capsmith.models.external.load import load_external
from capsmith.models.external.names import is_external
from capsmith.models.external.program import TIMEOUT

PROGRAM = Path(__file__).parents[2] / "support" / "caption_program.py"


def command(*arguments):
    return "exec:" + shlex.join([sys.executable, str(PROGRAM), *map(str, arguments)])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("red.png", (200, 0, 0)), ("blue.png", (0, 0, 200)), ("green one.png", (0, 200, 0))):
        Image.new("RGB", (20, 30), colour).save(folder / name)
    return folder


def test_images_of_every_kind_are_captioned_in_order(photos, tmp_path):
    log = tmp_path / "log"
    captioner = load_external(command("", log))
    odd = photos / "a\nb.png"
    Image.new("RGB", (8, 8), (0, 200, 0)).save(odd)
    images = [photos / "blue.png", str(photos / "green one.png"), Image.new("RGB", (9, 9), (200, 0, 0)), odd]
    assert [one.text for one in captioner.caption(images)] == [
        f"a {c} square" for c in ("blue", "green", "red", "green")
    ]
    lines = log.read_text().splitlines()
    assert lines[:2] == [str(photos / "blue.png"), str(photos / "green one.png")]
    assert len(lines) == 4 and not any(Path(line).exists() for line in lines[2:])  # temporary files are gone
    pixels = np.zeros((2, *captioner.image_sizes[0], 3), np.uint8)
    pixels[1, ..., 2] = 250
    made = captioner.caption_features(captioner.encode(pixels))
    assert [one.text for one in made] == ["a red square", "a blue square"]


def test_several_captions_of_an_image(photos):
    captioner = load_external(command("several"), ["decoding.n=2"])
    caption = captioner.caption(photos / "red.png")
    assert (caption.text, [one.text for one in caption.alternatives]) == ("a red square", ["something red"])


def test_captions_hold_no_character_that_controls_a_terminal_or_is_no_text(photos):
    (caption, *_) = load_external(command("control")).caption([photos / "red.png"])
    assert caption.text == "a r\\x1b[31med d\\ud800og"
    caption.text.encode()


def test_an_error_of_one_image_does_not_end_the_others(photos):
    captioner = load_external(command("refuse"))
    broken = photos / "broken.png"
    broken.write_bytes((photos / "red.png").read_bytes()[:50])
    red, blue, bad = captioner.caption([photos / "red.png", photos / "blue.png", broken], on_error="return")
    assert red.text == "a red square"
    assert isinstance(blue, ImageError) and "\\n" in str(blue) and "\n" not in str(blue)
    assert isinstance(bad, ImageError) and "broken.png" in str(bad)
    with pytest.raises(ImageError, match="blue"):
        captioner.caption(photos / "blue.png")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("crash", "exit code 3 before it answered: torch: out of memory"),
        ("garbage", "loading weights"),
        ("flood", "1,000,000 bytes"),
        ("none", "key caption"),
        ("number", "key caption"),
        ("close", "closed its output"),
        ("leave", "closed its output"),
        ("twice", "without having been asked|another image"),  # whether its second line is here already
        ("behind", "/the/image/before.png"),
    ],
)
def test_a_program_that_fails_is_one_line(photos, mode, said):
    captioner = load_external(command(mode))
    with pytest.raises(CapsmithError, match=said) as caught:
        captioner.caption([photos / "red.png", photos / "blue.png", photos / "red.png"])
    assert not isinstance(caught.value, ImageError) and str(caught.value).isprintable()
    assert captioner.engine._process is None  # it is started again for the next image


def test_a_silent_program_is_ended_with_its_children(photos, tmp_path, monkeypatch):
    monkeypatch.setenv(TIMEOUT, "1")
    log = tmp_path / "log"
    captioner = load_external(command("silent", log))
    with pytest.raises(CapsmithError, match=TIMEOUT):
        captioner.caption(photos / "red.png")
    group = int(log.read_text().split()[-1])
    for _ in range(50):
        if not _alive(group):
            break
        time.sleep(0.05)
    assert not _alive(group)


@pytest.mark.parametrize(("name", "asks"), [("exec:tail", True), ("exec:tail -n 1", False)])
def test_a_command_of_one_word_that_is_silent_may_lack_quotation_marks(photos, monkeypatch, name, asks):
    monkeypatch.setenv(TIMEOUT, "0.5")
    captioner = load_external(name)
    with pytest.raises(CapsmithError, match=TIMEOUT) as caught:
        captioner.caption(photos / "red.png")
    assert ("quotation marks" in str(caught.value)) == asks


def test_a_child_that_left_the_group_and_keeps_the_output_holds_nothing_up(photos, monkeypatch):
    monkeypatch.setenv(TIMEOUT, "0.5")
    captioner, start = load_external(command("escape")), time.monotonic()
    with pytest.raises(CapsmithError, match=TIMEOUT):
        captioner.caption(photos / "red.png")
    assert time.monotonic() - start < 10  # the child sleeps for 15 s


def test_images_in_memory_keep_their_shape(photos, tmp_path):
    program = tmp_path / "size.py"
    program.write_text(
        "import json, sys\nfrom PIL import Image\n"
        "for line in sys.stdin:\n    print(json.dumps({'caption': str(Image.open(line[:-1]).size)}))"
    )
    captioner = load_external("exec:" + shlex.join([sys.executable, str(program)]))
    captions = captioner.caption([(photos / "red.png").read_bytes(), Image.new("RGB", (4096, 1024))])
    assert [one.text for one in captions] == ["(20, 30)", "(2048, 512)"]


def _alive(group):
    """Returns whether a process of a group still runs; one that nobody waits for is none."""
    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            states.append(fields[0])
    return any(state != "Z" for state in states)


def test_it_ends_with_its_captioner(photos):
    captioner = load_external(command())
    captioner.caption(photos / "red.png")
    process = captioner.engine._process._process
    del captioner
    assert process.poll() is not None


def test_the_fingerprint_follows_command_and_program(tmp_path):
    script = tmp_path / "caption.sh"
    script.write_text("cat")
    first, other = (load_external(f"exec:sh {script}{more}").engine.fingerprint for more in ("", " -v"))
    script.write_text("cat -")
    assert len({first, other, load_external(f"exec:sh {script}").engine.fingerprint}) == 3


@pytest.mark.parametrize("name", ["exec:", "exec:'unbalanced", "exec:no-such-program-anywhere x"])
def test_wrong_commands(name):
    with pytest.raises(ConfigError, match="exec:"):
        load_external(name)


@pytest.mark.parametrize(
    "override",
    ["decoding.beam_size=3", "decoding.type=beam", "decoding.prefix=a", "data.root=x", "decoding.type=sample", "x"],
)
def test_settings_that_a_program_does_not_have(override):
    with pytest.raises(ConfigError):
        load_external(command(), [override])


def test_what_it_cannot_do(photos, monkeypatch):
    captioner = load_external(command())
    with pytest.raises(ConfigError, match="attention"):
        captioner.caption(photos / "red.png", attention=True)
    with pytest.raises(ConfigError, match="prefix"):
        captioner.caption(photos / "red.png", prefix="a photo")
    monkeypatch.setenv(TIMEOUT, "soon")
    with pytest.raises(ConfigError, match=TIMEOUT):
        load_external(command())


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_external("blip:a/b") and is_external("hub:x") and is_external("exec:y z")
    assert is_external(f"exec:python caption.py --prompt '{'describe it ' * 50}'")  # longer than names of files may be
    assert not is_external("run") and not is_external("https://x") and not is_external(tmp_path)
    os.mkdir("blip:run")
    assert not is_external("blip:run")
    with pytest.raises(ConfigError, match="blip:"):
        load_external("vlm:x")
