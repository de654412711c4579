"""Options of ``capsmith caption`` that say what the captions should be."""

import argparse
import json

from capsmith import Captioner
from capsmith.cli import main
from capsmith.cli.search_options import add_search_options, overrides_of
from capsmith.deploy.named_captioner import as_overrides
from tests.support import shapes

IMAGE = shapes.data() / "images" / "red_bar_left_4.png"


def settings(*options):
    parser = argparse.ArgumentParser()
    add_search_options(parser)
    return overrides_of(parser.parse_args(options))


def test_options_are_settings_of_decoding(tmp_path):
    assert settings() == {}
    options = ("--prefix", "no: 'x'", "--include", "dog|puppy", "--include", "red ball", "--exclude", "man", "--n", "3")
    given = settings(*options, "--min-length", "2", "--max-length", "9", "--exclude-words", str(tmp_path / "w.txt"))
    assert given == {
        "prefix": "no: 'x'",
        "include": ["dog|puppy", "red ball"],
        "exclude": ["man"],
        "exclude_file": str(tmp_path / "w.txt"),
        "min_length": 2,
        "max_length": 9,
        "n": 3,
    }
    assert as_overrides({"prefix": "no: 'x'", "n": 3}) == ["decoding.prefix=\"no: 'x'\"", "decoding.n=3"]


def test_the_captions_are_those_of_the_captioner(capsys, tmp_path):
    captioner = Captioner.load(shapes.trained())
    plain = captioner.caption(IMAGE, "beam", beam_size=3)
    first, second = plain.words[0], plain.words[1]
    listed = tmp_path / "words.txt"
    listed.write_text(f"{second}\nzebra\n", encoding="utf-8")
    options = ["--prefix", first, "--exclude-words", str(listed), "--n", "3", "--set", "decoding.type=beam"]
    assert main(["caption", str(shapes.trained()), str(IMAGE), *options]) == 0
    written = capsys.readouterr()
    lines = [line.split("\t") for line in written.out.splitlines()]
    expected = captioner.caption(IMAGE, "beam", prefix=first, exclude=[second], n=3)
    assert [text for _, text in lines] == [one.text for one in (expected, *expected.alternatives)]
    assert len(lines) == 3 and all(path == str(IMAGE) for path, _ in lines)
    assert all(text.split()[0] == first and second not in text.split() for _, text in lines)
    assert "'zebra'" in written.err
    assert main(["caption", str(shapes.trained()), str(IMAGE), *options, "--json"]) == 0
    beams = json.loads(capsys.readouterr().out)["beams"]
    assert [beam["caption"] for beam in beams] == [text for _, text in lines]


def test_included_words_are_in_every_caption():
    captioner = Captioner.load(shapes.trained())
    other = captioner.caption(shapes.data() / "images" / "blue_square_right_4.png").words
    for search in ("greedy", "beam"):
        caption = captioner.caption(IMAGE, search, include=[other[1]])
        assert all(other[1] in one.words for one in (caption, *caption.alternatives))
