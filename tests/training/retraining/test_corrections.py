"""The snapshot of corrections: which images test, and which captions cannot be learned."""

import json

import pytest

from capsmith.core.errors import ConfigError, DataError
from capsmith.data.text.vocabulary import SPECIALS, Vocabulary
from capsmith.training.retraining.corrections import held_out, require_spelling, usable, write_corrections
from tests.support import shapes


def config(**text):
    from capsmith.config import load_config

    return load_config(shapes.settings(text=text))


def folder(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return {name: f"a caption of {n}" for n, name in enumerate(names)}


def test_a_fifth_is_held_out_and_keeps_its_part():
    names = [f"{n}.jpg" for n in range(1000)]
    dev = held_out(names)
    assert 150 < len(dev) < 250
    assert held_out(reversed(names)) == dev
    assert held_out(names[:500]) == dev & set(names[:500])
    assert held_out([f"more{n}.jpg" for n in range(500)] + names) & set(names) == dev


def test_at_least_four_are_held_out():
    for count in (10, 11, 15):
        assert len(held_out(f"{n}.jpg" for n in range(count))) >= 4


def test_the_snapshot_says_which(tmp_path, log_lines):
    captions = {f"sub/é{n}.jpg": f"eine Katze {n}" for n in range(30)}
    write_corrections(tmp_path / "c.jsonl", captions)
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["image"]: row["caption"] for row in rows} == captions
    assert {row["image"] for row in rows if row["split"] == "dev"} == held_out(captions)
    assert any("rough" in line for line in log_lines)


def test_what_cannot_be_learned_is_skipped_and_counted(tmp_path, log_lines):
    captions = folder(tmp_path, [f"{n}.jpg" for n in range(12)])
    captions |= {"gone.jpg": "a dog", "../out.jpg": "a cat", "0.jpg": "!!!"}
    (tmp_path.parent / "out.jpg").write_bytes(b"x")
    found = usable(captions, tmp_path, config())
    assert sorted(found) == sorted(f"{n}.jpg" for n in range(1, 12))
    skipped = [line for line in log_lines if "skipped 1 ×" in line]
    assert len(skipped) == 3 and any("gone.jpg" in line for line in skipped)


def test_too_few(tmp_path):
    captions = folder(tmp_path, [f"{n}.jpg" for n in range(9)])
    with pytest.raises(DataError, match=r"9 corrected .* at least 10"):
        usable(captions, tmp_path, config())


@pytest.mark.parametrize(("caption", "mode"), [("一只狗在草地上奔跑", "word"), ("สุนัขวิ่งบนหญ้า", "word")])
def test_a_language_without_spaces_needs_a_model_of_characters(tmp_path, caption, mode):
    captions = dict.fromkeys(folder(tmp_path, [f"{n}.jpg" for n in range(12)]), caption)
    with pytest.raises(ConfigError, match="capsmith init"):
        usable(captions, tmp_path, config(mode=mode))
    assert len(usable(captions, tmp_path, config(mode="char"))) == 12


@pytest.mark.parametrize("caption", ["ein Hund läuft über Gras", "собака бежит по траве", "كلب يجري على العشب"])
def test_other_languages_join_a_model_of_words(tmp_path, caption):
    captions = dict.fromkeys(folder(tmp_path, [f"{n}.jpg" for n in range(12)]), caption)
    assert usable(captions, tmp_path, config()) == captions


def test_pieces_must_spell_the_words():
    pieces = Vocabulary([*SPECIALS, "a", "d", "##o", "##g"], pieces=True)
    require_spelling(["a dog"] * 5, pieces, config())
    with pytest.raises(ConfigError, match="capsmith init"):
        require_spelling(["собака a"] * 5, pieces, config())
    require_spelling(["собака"], Vocabulary([*SPECIALS, "a"]), config())
