"""Loads the members of a captioner from runs and exports. Keras is imported only if one of them is a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capsmith.config import Config
from capsmith.core.errors import ConfigError
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_member import ExportedMember, load_export
from capsmith.models.member import Member, require_same_words

if TYPE_CHECKING:
    from capsmith.models.keras_member import KerasMember


def load_members(
    runs: Sequence[Path], configs: Sequence[Config], encoder: bool = True, average: bool = False
) -> list[Member]:
    """Loads one member from each run, and all members of each export.

    Args:
        runs: Run directories and exports.
        configs: The config of each.
        encoder: Also load the encoders. Equal frozen encoders of runs are loaded once.
        average: Average the weights of several runs instead of their probabilities.

    Raises:
        CheckpointError: A run or an export cannot be loaded, or the members have different vocabularies.
        ConfigError: The weights of an export are to be averaged.
    """
    frozen: dict[str, Any] = {}
    loaded: list[Member] = []
    for run, config in zip(runs, configs, strict=True):
        if ExportFolder(run).is_export:
            loaded += load_export(run, config, encoder)
        else:
            from capsmith.models.keras_member import KerasMember

            loaded.append(KerasMember.load(run, encoder, config, frozen))
    require_same_words(loaded)
    if not average:
        return loaded
    members = keras_members(loaded)
    from capsmith.models.ensemble import average_weights

    return [average_weights(members)]


def keras_members(members: Sequence[Member]) -> "list[KerasMember]":
    """Returns members as Keras networks.

    Raises:
        ConfigError: One is an export, which has no weights to read or change.
    """
    found: list[Any] = list(members)
    if exported := next((member for member in found if isinstance(member, ExportedMember)), None):
        raise ConfigError(
            f"{exported.run} is an export: it has no weights to average and no run to save; use the run that it was "
            "made from"
        )
    return found


def summary_of(member: Member, layers: bool = False) -> str:
    """Returns a table of the layers of a run, or of the files of an export.

    Args:
        member: The model.
        layers: List the layers of the encoders too.
    """
    if isinstance(member, ExportedMember):
        return member.summary
    from capsmith.models.summary import summary

    (network,) = keras_members([member])
    return summary(network, layers)
