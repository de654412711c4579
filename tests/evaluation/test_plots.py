"""The history plot and the contact sheet."""

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import CapsmithError
from capsmith.evaluation.line_chart import COLOURS, Line
from capsmith.evaluation.plots import best_point, contact_sheet, plot_history


def rows(count=6):
    return [
        {"epoch": n, "loss": 5.0 - n / 2, "learning_rate": 1e-3, "dev_bleu4": 0.1 + n / 50, "seconds": 3.0}
        for n in range(1, count + 1)
    ]


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image).astype(int)


def drawn(area, colour):
    return np.nonzero(np.abs(area - np.array(colour)).sum(-1) < 30)


def test_loss_uses_the_left_axis_and_scores_the_right(tmp_path):
    plot_history(rows(), tmp_path / "history.png")
    image = pixels(tmp_path / "history.png")
    half = image.shape[1] // 2
    for area, falls in ((image[:440, :half], True), (image[60:440, half:], False)):
        y, x = drawn(area, COLOURS[0])
        first, last = y[x < x.min() + 20].mean(), y[x > x.max() - 20].mean()
        assert (last > first + 150) == falls and (first > last + 150) != falls


def test_cider_has_a_separate_axis(tmp_path):
    both = [{**row, "dev_cider": 4.0 + row["epoch"] % 3} for row in rows()]
    plot_history(both, tmp_path / "both.png")
    y, x = drawn(pixels(tmp_path / "both.png")[60:440, 680:], COLOURS[0])
    assert np.ptp(y) > 200  # bleu4 still uses its full scale


@pytest.mark.parametrize(
    "history",
    [
        [],
        rows(1),
        rows(60),
        [{"epoch": 1, "loss": float("nan"), "dev_bleu4": 0.0}],
        [{"epoch": 2, "loss": 1.0}],
    ],
)
def test_unusual_histories_are_drawn(tmp_path, history):
    plot_history(history, tmp_path / "deep" / "history.png")
    assert pixels(tmp_path / "deep" / "history.png").shape == (524, 1360, 3)


def test_the_best_epoch_is_the_first_with_the_highest_score():
    bleu = Line("bleu4", [(1, 0.1), (2, 0.3), (3, 0.3)], COLOURS[0])
    cider = Line("cider", [(1, 0.5), (2, 0.2), (3, 0.1)], COLOURS[1])
    assert best_point([bleu], None) == (bleu, (2, 0.3))
    assert best_point([bleu, cider], None) == (cider, (1, 0.5))
    assert best_point([bleu, cider], "bleu4") == (bleu, (2, 0.3))
    assert best_point([], None) is None


def solid(colour, size=(60, 40)):
    return Image.new("RGB", size, colour)


def test_a_contact_sheet_shows_each_image_and_its_caption(tmp_path):
    path = tmp_path / "sheet.png"
    contact_sheet([(solid("red"), "one", "a"), (solid("blue"), "two", "b"), (solid("lime"), "", "")], path, cell=100)
    sheet = pixels(path)
    y, x = drawn(sheet, (255, 0, 0))
    assert np.ptp(x) + 1 == 100 and abs(np.ptp(y) + 1 - 67) <= 1
    assert drawn(sheet, (0, 0, 255))[1].min() > x.max()
    assert drawn(sheet, (0, 255, 0))[0].min() > y.max()
    below = sheet[y.max() + 2 : y.max() + 40, x.min() : x.max()]
    assert (below.sum(-1) < 200).sum() > 10  # the caption's ink


def test_long_captions_wrap_within_their_column(tmp_path):
    short, long = tmp_path / "short.png", tmp_path / "long.png"
    contact_sheet([(solid("red"), "cat", "")], short, cell=160)
    contact_sheet([(solid("red"), "a cat " * 20 + "猫" * 40, "")], long, cell=160)
    assert pixels(long).shape[1] == pixels(short).shape[1]
    assert pixels(long).shape[0] > pixels(short).shape[0] + 100


def test_a_contact_sheet_reads_files_and_is_saved_by_its_ending(tmp_path):
    solid("red").save(tmp_path / "a.png")
    contact_sheet([(tmp_path / "a.png", "a cat", "a.png")], tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
    with pytest.raises(CapsmithError, match="image format"):
        contact_sheet([(tmp_path / "a.png", "a cat", "a.png")], tmp_path / "sheet.txt")
    assert not (tmp_path / "sheet.txt").exists()


def test_an_unwritable_path_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CapsmithError, match="cannot write"):
        plot_history(rows(), tmp_path / "file" / "history.png")
