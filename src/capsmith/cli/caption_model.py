"""The captioner that the arguments of a command name."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from capsmith.cli.keras_import import load_keras
from capsmith.cli.search_options import overrides_of

if TYPE_CHECKING:
    from capsmith.deploy.named_captioner import NamedCaptioner


def caption_model(args: argparse.Namespace, models: Sequence[str | Path]) -> "NamedCaptioner":
    """Returns the captioner that the arguments name; reports mistakes before anything is loaded that takes time."""
    from capsmith.deploy.named_captioner import CaptionerName

    full = bool(args.set or args.average or args.plugin)
    changes, plugins = overrides_of(args), tuple(args.plugin)
    return CaptionerName(tuple(models), changes, tuple(args.set), args.average, full, plugins, load_keras).find()


def plain_model(model: str | Path, plugins: bool = False) -> "NamedCaptioner":
    """Returns a captioner with its own settings.

    Args:
        model: A run, an export, a saved ensemble, ``starter``, or the name of a third-party captioner.
        plugins: It may need the plugins that were loaded.
    """
    from capsmith.deploy.named_captioner import CaptionerName

    return CaptionerName((model,), full=plugins, prepare=load_keras).find()
