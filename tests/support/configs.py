"""The smallest config, and the error messages of its variants."""

import pytest

from capsmith.config import load_config
from capsmith.core.errors import ConfigError

BASE = {"data": {"type": "folder", "root": "images"}, "decoder": {"type": "inject"}}
TEXT = "data: {type: folder, root: images}\ndecoder: {type: inject}\n"


def error(source, *overrides):
    """Returns the error message of an invalid config."""
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides)
    return str(caught.value)
