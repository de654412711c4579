"""`capsmith.extract`: the feature store of a config."""

import pytest

from capsmith.config import load_config
from capsmith.core.errors import DataError
from capsmith.training.extract import extract
from tests.support import shapes


def test_nothing_to_extract_for_an_encoder_that_learns():
    with pytest.raises(DataError, match="encoder.trainable is true"):
        extract(load_config(shapes.settings(encoder={"trainable": True})))


def test_extract_holds_every_image():
    store = extract(load_config(shapes.settings()))
    assert len([1 for path in (shapes.data() / "images").iterdir() if path.name in store]) == 120
