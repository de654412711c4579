"""When the starter captions images: whenever no run is named."""

import os
from pathlib import Path

from capsmith.core.readers.regular_files import open_regular
from capsmith.core.starter import starter_folder
from capsmith.models.export_folder import ExportFolder
from capsmith.models.model_paths import is_model
from capsmith.models.run import RunDirectory
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.image_formats import HEAD, IMAGE_ENDINGS, format_of


def is_for_starter(path: Path) -> bool:
    """Returns whether the first path of a command line is an image or a folder of images, not a run.

    A path is taken for a run unless it is a folder, or ends or begins as an image does; and so is a folder with a file
    of a run or an export. A wrong or damaged run is an error, and never replaced by the starter.
    """
    if is_model(path):
        return False
    if path.is_dir():
        run = RunDirectory(path)
        names = {file.name for file in run.files} | {"step.onnx", "start.onnx", EncoderFolder(path).exported.name}
        return not any(os.path.lexists(path / name) for name in names)
    return path.suffix.lower() in IMAGE_ENDINGS or _is_image(path)


def _is_image(path: Path) -> bool:
    """Returns whether a file begins as an image does."""
    try:
        with open_regular(path) as file:
            return format_of(file.read(HEAD)) is not None
    except OSError:
        return False


def introduction() -> str:
    """Returns what the starter is, in one line: its first use says it.

    Raises:
        CheckpointError: This installation does not contain it.
    """
    trained_on = ExportFolder(starter_folder()).manifest.labels.get("trained_on") or "photographs"
    return f"starter model: trained on {trained_on}; to use your own: capsmith caption RUN IMAGE"
