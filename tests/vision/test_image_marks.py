"""capsmith recognises images that it drew, and only those."""

import pytest
from PIL import Image

from capsmith.core.errors import ConfigError
from capsmith.core.outputs import require_replaceable
from capsmith.evaluation.plots import contact_sheet, plot_history
from capsmith.vision.image_marks import is_marked
from tests.support import toy


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_marked_images_are_recognised(tmp_path, ending):
    path = tmp_path / f"sheet.{ending}"
    contact_sheet([(toy.image("red", "ball"), "a ball", "")], path)
    assert is_marked("captions")(path) and not is_marked("attention")(path)
    require_replaceable(path, is_marked("captions"), "--show")
    contact_sheet([(toy.image("red", "box"), "a box", "")], path)
    with Image.open(path) as image:
        image.save(path)  # as another program would
    assert not is_marked("captions")(path)


def test_a_history_plot_is_not_a_contact_sheet(tmp_path):
    plot_history([{"epoch": 1, "loss": 2.0, "dev_cider": 0.1}], tmp_path / "history.png")
    with pytest.raises(ConfigError, match="history.png"):
        require_replaceable(tmp_path / "history.png", is_marked("captions"), "--show")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"capsmith captions", b"II*\0capsmith captions"])
def test_damaged_files_are_not_recognised(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert not is_marked("captions")(tmp_path / "a.png")
