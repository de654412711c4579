"""Runs the original Java programs of METEOR and SPICE, which the package ``pycocoevalcap`` (extra ``[coco]``) contains.

capsmith does not use the wrappers of that package: they block or break ("broken pipe") when Java fails, do not accept
a space in the path, and write into the installed package.
"""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from capsmith.core.errors import CapsmithError, MissingExtraError

_TITLES = {"meteor": "METEOR", "spice": "SPICE"}


def package_folder(name: str) -> Path:
    """Returns a folder of the installed ``pycocoevalcap``: ``meteor``, ``spice`` or ``tokenizer``.

    Raises:
        MissingExtraError: The package is not installed.
    """
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("pycocoevalcap", "coco", _TITLES.get(name, name))
    return Path(spec.submodule_search_locations[0]) / name


def require_java(name: str) -> None:
    """Checks that a metric's program and Java exist.

    Args:
        name: ``meteor`` or ``spice``.

    Raises:
        MissingExtraError: ``pycocoevalcap`` is not installed.
        CapsmithError: Java is not installed.
    """
    package_folder(name)
    if shutil.which("java") is None:
        title = _TITLES[name]
        raise CapsmithError(
            f"{title} needs Java, but there is no 'java' command: install it, or remove {name} from the metrics"
        )


def run_java(name: str, arguments: Sequence[str], text: str = "") -> str:
    """Runs Java in the folder of a metric and returns its output.

    Args:
        name: ``meteor`` or ``spice``.
        arguments: The arguments of ``java``.
        text: The standard input.

    Raises:
        CapsmithError: Java cannot be started, or fails.
    """
    title = _TITLES[name]
    command = ["java", *arguments]
    try:
        process = subprocess.run(command, cwd=package_folder(name), input=text.encode(), capture_output=True)  # noqa: S603
    except OSError as error:
        raise CapsmithError(f"{title}: cannot run java: {error.strerror or error}") from error
    if process.returncode != 0:
        lines = process.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise CapsmithError(f"{title} failed in Java (exit code {process.returncode}): {lines[0][:200]}")
    return process.stdout.decode("utf-8", errors="replace")
