"""Records, and the features or pixels of each image."""

import shutil

import numpy as np
import pytest

from capsmith.config import load_config
from capsmith.core.errors import DataError, FeatureError
from capsmith.data.prepare import PixelCache, require_splits
from capsmith.data.records import Record
from capsmith.vision.images import load_image
from tests.support import shapes
from tests.support.prepared import corpus_of, prepare_splits


@pytest.fixture
def data(tmp_path):
    """Returns a copy of the drawn data, to be damaged."""
    return shutil.copytree(shapes.data(), tmp_path / "data")


def records(paths):
    return [Record(path.name, path, ("a",), "train") for path in paths]


def test_images_are_decoded_once_and_found_by_id():
    paths = sorted((shapes.data() / "images").iterdir())[:5]
    images = PixelCache(records(paths), (32, 24), 2)
    rows = images.rows([paths[3].name, paths[0].name, paths[3].name])
    found = images.gather(rows)
    assert found.dtype == np.uint8
    for pixels, path in zip(found, (paths[3], paths[0], paths[3]), strict=True):
        np.testing.assert_array_equal(pixels, load_image(path, (32, 24)))
    assert paths[0].name in images
    assert "other.png" not in images


def test_unreadable_images_are_named_and_left_out(data, log_lines):
    paths = sorted((data / "images").iterdir())[:12]
    for path in paths[2:10]:
        path.write_bytes(b"broken")
    images = PixelCache(records(paths), (32, 32), 2)
    assert list(images.unreadable) == [path.name for path in paths[2:10]]
    assert len(log_lines) == 5
    assert all(path.name in line for path, line in zip(paths[2:7], log_lines, strict=True))
    assert [path.name in images for path in paths] == [True] * 2 + [False] * 8 + [True] * 2


@pytest.mark.parametrize("trainable", [True, False])
def test_broken_images_up_to_a_limit(data, tmp_path, trainable):
    broken = sorted((data / "images").glob("*_0.png"))[:3]
    for path in broken:
        path.write_bytes(b"broken")
    sections = {"encoder": {"trainable": trainable}, "data": {"root": str(data)}}
    features = {"cache": str(tmp_path / "cache")}
    strict = load_config(shapes.settings(**sections, features={**features, "max_bad_fraction": 0.02}))
    with pytest.raises(
        (DataError, FeatureError), match="3 of (96|120) images cannot be read.*features.max_bad_fraction"
    ):
        prepare_splits(strict, "train", "dev")
    loose = load_config(shapes.settings(**sections, features={**features, "max_bad_fraction": 0.1}))
    prepared = prepare_splits(loose, "train", "dev")
    assert len(prepared.split("train")) == 72 - 3
    assert not {path.name for path in broken} & {record.image_id for record in prepared.records}
    assert (prepared.encoder is not None) == trainable


def test_features_are_those_of_the_encoder():
    config = load_config(shapes.settings())
    prepared = prepare_splits(config, "test")
    from capsmith.vision.encoder import build_encoder

    some = prepared.split("test")[:3]
    pixels = np.stack([load_image(record.path, (32, 32)) for record in some])
    found = prepared.source.gather(prepared.source.rows([record.image_id for record in some]))
    np.testing.assert_allclose(found, build_encoder(config.encoder).encode(pixels), atol=1e-5)
    assert prepared.feature_shape == found.shape[1:]


def test_a_trained_encoder_gets_only_the_images_of_the_split():
    prepared = prepare_splits(load_config(shapes.settings(encoder={"trainable": True})), "dev")
    assert {record.split for record in prepared.records} == {"dev"}
    assert len(prepared.records) == 24


def test_a_split_without_images(data):
    lines = (data / "captions.csv").read_text().replace(",test", ",train")
    (data / "captions.csv").write_text(lines)
    config = load_config(shapes.settings(data={"root": str(data)}))
    corpus = corpus_of(config)
    require_splits(corpus, ("train", "dev"))
    with pytest.raises(DataError, match=r"the test split .*evaluation\.after_training"):
        require_splits(corpus, ("train", "test"), "test")
    with pytest.raises(DataError, match="the test split"):
        prepare_splits(config, "test")


def test_what_was_read_and_left_out_is_said(data, log_lines):
    (data / "images" / "red_bar_left_0.png").unlink()
    corpus_of(load_config(shapes.settings(data={"root": str(data)})))
    assert "images 71 train, 24 dev, 24 test" in log_lines[0]
    assert "red_bar_left_0.png" in log_lines[1]
