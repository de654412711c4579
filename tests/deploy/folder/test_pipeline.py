import threading
import time

import numpy as np
import pytest
from PIL import Image

from capsmith import Captioner
from capsmith.core.errors import ImageError
from capsmith.deploy.folder.pipeline import caption_images
from tests.support import shapes
from tests.support.fake_captioner import FakeCaptioner, make_images


def texts(captioner, paths, **settings):
    return [result.caption and result.caption.text for result in caption_images(captioner, paths, **settings)]


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_captions_are_in_order_and_do_not_depend_on_batches(tmp_path, batch_size, overlap):
    captions = make_images(tmp_path, 13)
    found = texts(FakeCaptioner(), [tmp_path / name for name in captions], batch_size=batch_size, overlap=overlap)
    assert found == list(captions.values())


def test_all_batches_have_one_size(tmp_path):
    """Otherwise a compiled network is compiled again for the last batch."""
    captioner = FakeCaptioner()
    texts(captioner, [tmp_path / name for name in make_images(tmp_path, 13)], batch_size=4)
    assert captioner.encoded == captioner.searched == [4, 4, 4, 4]


def test_unreadable_images_are_results_in_place(tmp_path):
    captions = make_images(tmp_path, 9)
    for name in ("0000.png", "0004.png", "0008.png"):
        (tmp_path / name).write_bytes(b"")
    results = list(caption_images(FakeCaptioner(), [tmp_path / name for name in captions], batch_size=2))
    assert [isinstance(result.error, ImageError) for result in results] == [i % 4 == 0 for i in range(9)]
    assert [result.image.name for result in results] == list(captions)
    expected = [None if i % 4 == 0 else text for i, text in enumerate(captions.values())]
    assert [result.caption and result.caption.text for result in results] == expected


def test_only_unreadable_images(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    assert [r.error is not None for r in caption_images(FakeCaptioner(), paths, batch_size=2)] == [True] * 40
    assert list(caption_images(FakeCaptioner(), [])) == []


def test_the_stages_overlap(tmp_path):
    """Encoding and searching take 20 ms each for ten batches: in turn 400 ms."""
    paths = [tmp_path / name for name in make_images(tmp_path, 20)]
    seconds = {}
    for overlap in (True, False):
        began = time.monotonic()
        texts(FakeCaptioner(delay=0.02), paths, batch_size=2, overlap=overlap)
        seconds[overlap] = time.monotonic() - began
    assert seconds[True] < 0.8 * seconds[False]


def test_memory_is_bounded(tmp_path):
    """However slow the caller is, only some batches are decoded ahead."""
    paths = [tmp_path / name for name in make_images(tmp_path, 60)]
    captioner = FakeCaptioner()
    results = caption_images(captioner, paths, batch_size=2)
    next(results)
    time.sleep(0.5)
    assert sum(captioner.encoded) <= 16
    results.close()


@pytest.mark.parametrize("stage", ["encode", "caption_features"])
def test_an_error_of_a_stage_is_raised_and_the_threads_end(tmp_path, stage, monkeypatch):
    paths = [tmp_path / name for name in make_images(tmp_path, 20)]

    def fail(self, *_):
        raise MemoryError("too much")

    monkeypatch.setattr(FakeCaptioner, stage, fail)
    with pytest.raises(MemoryError, match="too much"):
        list(caption_images(FakeCaptioner(), paths, batch_size=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("capsmith-", "decode"))]


def test_a_caller_that_stops_ends_the_threads(tmp_path):
    results = caption_images(FakeCaptioner(), [tmp_path / name for name in make_images(tmp_path, 40)], batch_size=2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("capsmith-", "decode"))]


def test_a_trained_captioner_gives_the_captions_of_caption(tmp_path):
    captioner = Captioner.load(shapes.trained())
    paths = sorted((shapes.data() / "images").glob("*.png"))[:11]
    with Image.open(paths[3]) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.convert("RGB").save(tmp_path / "turned.jpg", quality=95, exif=exif.tobytes())
    frames = [Image.open(path).convert("RGB") for path in paths[:3]]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    paths += [tmp_path / "turned.jpg", tmp_path / "moving.gif"]
    expected = captioner.caption(paths)
    for batch_size in (4, 32):
        results = list(caption_images(captioner, paths, batch_size=batch_size, overlap=False))
        assert [result.caption.text for result in results] == [caption.text for caption in expected]
        scores = [result.caption.log_probability for result in results]
        np.testing.assert_allclose(scores, [caption.log_probability for caption in expected], rtol=1e-4)
        assert [r.caption.domain is None for r in results] == [c.domain is None for c in expected]
