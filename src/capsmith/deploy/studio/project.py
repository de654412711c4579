"""The folder in which a studio keeps what it knows about a folder of images."""

import os
from pathlib import Path

from capsmith.core.errors import CapsmithError, ConfigError

FOLDER = ".capsmith-studio"
"""The project folder inside the folder of the images. It is hidden, so no command takes its files for images."""
DATABASE = "studio.sqlite"
"""The file with captions and edits."""
LOCK = "studio.lock"
"""The lock of the process that writes."""


class StudioError(CapsmithError):
    """A project cannot be opened, read or written."""


class StudioBusy(StudioError):
    """Another process has the project open, or its lock cannot be written."""


def project_folder(images: Path, project: Path | None = None) -> Path:
    """Returns the project folder of a folder of images: ``project``, or by default the hidden one inside."""
    return images / FOLDER if project is None else project


def find_project(path: Path) -> Path:
    """Returns the project that a person names: a project folder, or a folder of images that contains one.

    Raises:
        ConfigError: There is none.
    """
    for folder in (path, path / FOLDER):
        if os.path.lexists(folder / DATABASE):
            return folder
    raise ConfigError(
        f"{path} is not a studio project, nor a folder of images with one: capsmith studio --images {path} makes one"
    )


def make_project(folder: Path) -> None:
    """Creates a project folder.

    Raises:
        StudioError: It cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise StudioError(f"cannot write {folder}: {reason}; name another folder with --project") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StudioError(f"cannot write {folder}: Permission denied; name another folder with --project")
