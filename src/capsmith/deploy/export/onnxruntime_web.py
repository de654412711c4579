"""The files of onnxruntime-web that a web export contains: from npm, or from a package that the user names.

Only files with the pinned SHA-256 are used, wherever they come from.
"""

import hashlib
import shutil
import subprocess  # noqa: S404  only npm is run, without a shell
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.log import get_logger
from capsmith.core.readers.regular_files import open_regular, read_bytes

logger = get_logger(__name__)

VERSION = "1.30.0"
OPTION = "--onnxruntime-web"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The files of the package's folder ``dist``, with their SHA-256."""
_LIMIT = 64 << 20  # bytes of a file; the largest has 14 MB
_MEMBERS = 10_000  # entries of a tarball; the package has 700
_SECONDS = 300.0


def onnxruntime_web(source: Path | None = None) -> dict[str, bytes]:
    """Returns the content of ``FILES``.

    Args:
        source: The npm package: its tarball, or its folder (``node_modules/onnxruntime-web``); None runs ``npm pack``.

    Raises:
        ConfigError: The source is not the package, or its version differs.
        CheckpointError: There is no npm, or it cannot fetch the package.
    """
    if source is None:
        return _from_npm()
    found = _read_folder(source) if source.is_dir() else _read_tarball(source)
    return _verified(found, str(source))


def _from_npm() -> dict[str, bytes]:
    npm = shutil.which("npm")
    package = f"onnxruntime-web@{VERSION}"
    advice = f"name a copy of the npm package {package} with {OPTION} TARBALL|FOLDER"
    if npm is None:
        raise CheckpointError(f"--format web needs npm, which is not installed: install Node.js, or {advice}")
    logger.info(f"export: fetching {package} with npm")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--ignore-scripts", "--prefer-offline", "--silent"]
        try:
            done = subprocess.run(  # noqa: S603  a fixed command
                command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CheckpointError(f"npm cannot fetch {package} ({one_line(error)}): {advice}") from error
        tarballs = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or not tarballs:
            reason = " ".join(done.stderr.split())[:200] or f"exit code {done.returncode}"
            raise CheckpointError(f"npm cannot fetch {package} ({reason}): {advice}")
        return _verified(_read_tarball(tarballs[0]), f"npm's {package}")


def _read_folder(folder: Path) -> dict[str, bytes]:
    base = folder / "dist" if (folder / "dist").is_dir() else folder
    try:
        return {name: read_bytes(base / name, _LIMIT) for name in FILES if (base / name).exists()}
    except OSError as error:
        raise ConfigError(f"{OPTION}: {one_line(error)}") from error


def _read_tarball(path: Path) -> dict[str, bytes]:
    wanted = {f"package/dist/{name}": name for name in FILES}
    found: dict[str, bytes] = {}
    try:
        with open_regular(path) as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
            for number, member in enumerate(archive):
                if number >= _MEMBERS or len(found) == len(wanted):
                    break
                if member.name in wanted and member.isreg() and member.size <= _LIMIT:
                    content = archive.extractfile(member)
                    found[wanted[member.name]] = content.read() if content is not None else b""
    except FileNotFoundError as error:
        raise ConfigError(f"{OPTION}: there is no file or folder {path}") from error
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:  # zlib's error is one of OSError's by tarfile
        raise ConfigError(f"{OPTION}: {path} is not a tarball of npm ({one_line(error)})") from error
    return found


def _verified(found: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """Checks the files of a package.

    Raises:
        ConfigError: A file is missing, or its content is not that of the pinned version.
    """
    for name, expected in FILES.items():
        if name not in found:
            raise ConfigError(f"{OPTION}: {source} has no dist/{name}: it must be the npm package onnxruntime-web")
        if hashlib.sha256(found[name]).hexdigest() != expected:
            raise ConfigError(f"{OPTION}: dist/{name} of {source} is not that of onnxruntime-web {VERSION}")
    return dict(found)
