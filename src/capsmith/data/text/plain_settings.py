"""Settings of the text section without pydantic; see ``core.plain_settings``.

The fields come from ``settings.json`` in this folder, which ``python -m tools.plain_schemas`` writes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capsmith.core.plain_settings import PlainSettings, Section, read_schemas

SCHEMAS = Path(__file__).with_name("settings.json")


class PlainText(PlainSettings):
    """Cleaning, tokenisation and the vocabulary."""


def text_from(values: Mapping[str, Any]) -> Any:
    """Returns the settings of the text section, which ``tokens`` and ``cleaning`` read.

    Args:
        values: The ``text`` section of a config, or a part of it: other fields have their defaults.

    Raises:
        ConfigError: Values are not valid.
    """
    return Section(read_schemas(SCHEMAS), {"text": PlainText}).make("text", values, "text")
