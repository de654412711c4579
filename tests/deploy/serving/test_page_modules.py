"""The modules of the page by themselves."""

import subprocess

import numpy as np
import pytest


def test_words_are_found_in_the_caption_as_it_is_written(visit):
    cases = [
        ("a dog's ball.", ["a", "dog", "'s", "ball"]),
        ("狗在跑", ["狗", "在", "跑"]),
        ("l'homme court", ["l'homme", "court"]),
        ("unrelated words", ["un", "##related"]),
        ("", []),
    ]
    body = "return argument.map(([caption, words]) => module.segments(caption, words.map(word => ({word}))));"
    found = visit.module("words.js", body, cases)
    joined = ["".join(one["before"] + one["text"] for one in row) for row in found]
    assert joined == ["a dog's ball", "狗在跑", "l'homme court", "un ##related", ""]
    assert [[one["text"] for one in row] for row in found] == [words for _, words in cases]


def test_probabilities_are_written_as_people_read_them(visit):
    found = visit.module("words.js", "return argument.map(module.percent);", [1, 0.996, 0.994, 0.5, 0.012, 0.004, 0])
    assert found == ["over 99 %", "over 99 %", "99 %", "50 %", "1 %", "under 1 %", "under 1 %"]
    found = visit.module(
        "alternatives.js", "return argument.map(module.likelihood);", [0, -1, -3, -6.5, -7.5, -13, -20]
    )
    assert found == ["100 %", "37 %", "5.0 %", "0.2 %", "0.06 %", "0.0002 %", "under 0.0001 %"]


def test_alternative_text_is_a_sentence(visit):
    texts = ["a dog runs", "a dog runs!", " élan ", "一只狗", "कुत्ता", "", "ß"]
    found = visit.module("texts.js", "return argument.map(module.altText);", texts)
    assert found == ["A dog runs.", "A dog runs!", "Élan.", "一只狗。", "कुत्ता।", "", "SS."]


@pytest.mark.parametrize("text", ["plain", "it's", "$(id) `id`", 'a "b"', "a\nb", "", "#x", "~", "ü"])
def test_shell_quotes(visit, text):
    quoted = visit.module("curl.js", "return module.quoted(argument);", text)
    shown = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout.decode()
    assert shown == text


def test_a_map_is_smoothed_by_cubic_b_splines(visit):
    """Unser 1999, eq. 4: the cubic B-spline, with the map, its edges repeated, as coefficients."""
    rng = np.random.default_rng(4)
    coarse = rng.random((5, 7))
    found = np.array(visit.module("field.js", "return Array.from(module.smooth(argument, 28, 15));", coarse.tolist()))
    expected = _spline(_spline(coarse, 28).T, 15).T
    low, high = expected.min(), expected.max()
    np.testing.assert_allclose(found.reshape(15, 28), (expected - low) / (high - low), atol=1e-5)


def _spline(rows, length):
    columns = rows.shape[1]
    padded = np.pad(rows, ((0, 0), (3, 3)), mode="edge")
    where = (np.arange(length) + 0.5) * columns / length - 0.5
    away = np.abs(where[None] - np.arange(-3, columns + 3)[:, None])
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    return padded @ np.where(away < 1, near, np.where(away < 2, far, 0))


def test_a_map_that_is_nearly_even_seems_nearly_even(visit):
    even = [[1.0, 1.01], [1.0, 0.99]]
    found = visit.module("field.js", "return Array.from(module.smooth(argument, 8, 8));", even)
    assert min(found) > 0.9
    assert visit.module("field.js", "return Array.from(module.smooth(argument, 3, 3));", [[0, 0], [0, 0]]) == [1] * 9


def test_what_all_words_look_at_is_no_words_own(visit):
    """A corner at which every word rests is dark, and the place of each word is light."""
    maps = np.full((3, 4, 4), 0.02)
    maps[:, 0, 0] = 0.5
    for number, place in enumerate([(1, 2), (3, 3), (2, 0)]):
        maps[number][place] += 0.2
    found = np.array(visit.module("field.js", "return module.relative(argument);", maps.tolist()))
    assert [tuple(np.unravel_index(one.argmax(), one.shape)) for one in found] == [(1, 2), (3, 3), (2, 0)]
    assert (found[:, 0, 0] < 0.6 * found.max(axis=(1, 2))).all()
    assert visit.module("field.js", "return module.relative([argument, null]);", maps[0].tolist()) == [
        maps[0].tolist(),
        None,
    ]


def test_contours_lie_where_the_level_is(visit):
    """The level 0.5 of a cone is a circle of half its radius."""
    y, x = np.mgrid[0:41, 0:41]
    cone = np.clip(1 - np.hypot(x - 20, y - 20) / 16, 0, 1)
    body = "return module.contour(Float32Array.from(argument), 41, 41, 0.5);"
    lines = np.array(visit.module("field.js", body, cone.ravel().tolist())).reshape(-1, 2)
    np.testing.assert_allclose(np.hypot(lines[:, 0] - 20, lines[:, 1] - 20), 8, atol=0.1)
    assert len(lines) > 60
