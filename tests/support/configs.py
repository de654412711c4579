"""The smallest config, and what is wrong with a variant of it."""

import pytest

from capsmith.config import load_config
from capsmith.core.errors import ConfigError

BASE = {"data": {"type": "folder", "root": "images"}, "decoder": {"type": "inject"}}
TEXT = "data: {type: folder, root: images}\ndecoder: {type: inject}\n"


def error(source, *overrides):
    """Returns the message of the error that a config raises."""
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)
