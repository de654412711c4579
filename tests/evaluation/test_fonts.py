"""Line wrapping, and fonts that contain the text's characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from capsmith.evaluation.fonts import font_for, wrap

FONT = ImageFont.load_default(16)


@given(st.lists(st.text("abcdefg", min_size=1, max_size=30), max_size=12), st.integers(40, 400))
def test_wrapped_lines_fit_and_lose_nothing(words, width):
    lines = wrap(" ".join(words), FONT, width)
    assert all(FONT.getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(words)


def test_lines_break_at_spaces_where_possible():
    width = FONT.getlength("a small red")
    assert wrap("a small red cat", FONT, width) == ["a small red", "cat"]
    assert wrap("", FONT, width) == []
    assert wrap("  two   words ", FONT, 500) == ["two words"]


def test_a_letter_wider_than_the_line_is_kept():
    assert wrap("abc", FONT, 1) == ["a", "b", "c"]


def test_combining_marks_stay_with_their_letters():
    word = "e\u0301" * 12
    lines = wrap(word, FONT, 60)
    assert len(lines) > 1 and "".join(lines) == word
    assert not any(line.startswith("\u0301") for line in lines)


def test_latin_uses_pillows_own_font():
    assert font_for("a cat", 20).getname() == ImageFont.load_default(20).getname()


def test_other_scripts_use_a_font_that_has_them():
    try:
        ImageFont.truetype("DejaVuSans.ttf", 20)
    except OSError:
        pytest.skip("DejaVu Sans is not installed")
    assert font_for("кошка", 20).getname()[0] != ImageFont.load_default(20).getname()[0]


def test_characters_of_no_font_still_give_a_font():
    assert font_for("\U000f1234 cat", 20).getlength("cat") > 0
