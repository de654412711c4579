"""The config of an export: that of the run, with the export's settings of text and decoding."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.config import Config, of_kind, validate
from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.migrations import migrate
from capsmith.models.config_changes import with_overrides
from capsmith.models.export_folder import MANIFEST, ExportFolder
from capsmith.models.export_manifest import ADVICE


def export_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads the config of an export.

    Plugins are not needed: an export contains no component but its search, which is capsmith's own.

    Args:
        path: The folder.
        overrides: Changes to fields that may change after training, such as ``"decoding.beam_size=3"``.

    Raises:
        CheckpointError: The manifest is damaged.
        ConfigError: An override is not valid, or would change the model.
    """
    folder = ExportFolder.named(path)
    manifest = folder.manifest
    values = copy.deepcopy({**manifest.config, "text": manifest.text, "decoding": manifest.decoding})
    unloaded = _components(values)
    try:
        where = str(folder.path / MANIFEST)
        trained = of_kind(validate(migrate(values, Config), where, unloaded), Config, where)
    except ConfigError as error:
        raise CheckpointError(f"{folder} cannot be used: {one_line(error)}; {ADVICE}") from error
    return of_kind(with_overrides(trained, overrides, unloaded, folder), Config, str(folder))


def _components(values: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Returns the decoder and the dataset, which may be a plugin's: an export is used without its code."""
    sections = (("decoder", "decoder"), ("dataset", "data"))
    found = ((kind, values.get(section)) for kind, section in sections)
    return {
        (kind, name): "the plugin of the run"
        for kind, section in found
        if isinstance(section, dict) and isinstance(name := section.get("type"), str)
    }
