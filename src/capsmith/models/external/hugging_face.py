"""Repositories of Hugging Face: their files, downloaded once into the cache of huggingface_hub.

Only JSON, tokenizer files and safetensors are fetched. ``HF_HUB_OFFLINE=1`` restricts it to the cache.
"""

import importlib
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from capsmith.core.errors import ConfigError, MissingExtraError, escaped, one_line
from capsmith.core.readers.json_files import read_json
from capsmith.vision.hub.presets import within

PATIENCE = 10
"""Seconds to wait for the first answer."""
WEIGHTS, SHARDS = "model.safetensors", "model.safetensors.index.json"
DOCS = "docs/other_captioners.md"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}(@[\w./-]{1,120})?")
_CONVERTER, _CONVERTED = "SFconvertbot", "Adding `safetensors` variant of this model"  # Hugging Face's own account


def repository_folder(prefix: str, name: str, extra: str, required: list[str], optional: list[str]) -> Path:
    """Returns the folder that holds a repository's files, after downloading what is not cached.

    Args:
        prefix: What stands before the name in a command, such as ``blip:``.
        name: ``OWNER/NAME``, or ``OWNER/NAME@REVISION``.
        extra: The extra of capsmith that installs huggingface_hub.
        required: Files that it must have, besides its weights; the first is fetched first.
        optional: Files that some repositories have.

    Raises:
        ConfigError: It is no name of a repository, or its files cannot be had.
        MissingExtraError: huggingface_hub is not installed.
    """
    shown = f"{prefix}{escaped(name)[:200]}"
    if not _NAME.fullmatch(name) or ".." in name:
        raise ConfigError(f"{shown}: neither a folder nor the name of a repository, such as Salesforce/NAME")
    try:
        hub = importlib.import_module("huggingface_hub")
        importlib.import_module("huggingface_hub.constants")
        importlib.import_module("huggingface_hub.errors")
    except ImportError as error:
        raise MissingExtraError("transformers", extra, prefix) from error
    repository, _, revision = name.partition("@")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it reports each of its retries
    try:
        return _fetch(hub, repository, revision or None, required, optional)
    except _NoSafetensorsError as error:
        raise ConfigError(
            f"{shown} has no weights in safetensors, and pickles are not loaded: save it in this format, see {DOCS}"
        ) from error
    except Exception as error:  # no network, no such repository, refused, disk full, interrupted
        raise ConfigError(
            f"{shown}: its files cannot be downloaded ({_reason(error)}); on a machine without network pass the folder "
            f"of a model, see {DOCS}"
        ) from error


class _NoSafetensorsError(Exception):
    """A repository has only pickles."""


def _cached(hub: Any, repository: str, revision: str | None, required: list[str]) -> Path | None:
    """Returns the folder of a complete model in the cache. No network is needed, and it does not change by itself."""
    cache = hub.constants.HF_HUB_CACHE
    converted = sorted(Path(cache).glob(f"models--{repository.replace('/', '--')}/refs/refs/pr/*"))
    for at in (revision, *(f"refs/pr/{path.name}" for path in converted if revision is None)):
        found = [hub.try_to_load_from_cache(repository, file, cache, at) for file in (*required, WEIGHTS)]
        if all(isinstance(path, str) for path in found):
            return Path(found[0]).parent
        index = hub.try_to_load_from_cache(repository, SHARDS, cache, at)
        if all(isinstance(path, str) for path in (*found[:-1], index)):
            folder = Path(index).parent
            if all((folder / name).is_file() for name in _shards(Path(index))):
                return folder
    return None


def _fetch(hub: Any, repository: str, revision: str | None, required: list[str], optional: list[str]) -> Path:
    if (folder := _cached(hub, repository, revision, required)) is not None:
        return folder
    _require_network(hub)

    def fetch(file: str, at: str | None = revision) -> Path:
        return Path(hub.hf_hub_download(repository, file, revision=at))

    config = within(PATIENCE, lambda: fetch(required[0]))
    at = revision
    if not any(_fetch_if_there(hub, fetch, name) for name in (WEIGHTS, SHARDS)):
        at = None if revision else _converted(hub, repository)
        if at is None:
            raise _NoSafetensorsError(repository)
        config = fetch(required[0], at)  # all files in one folder
        fetch(WEIGHTS, at)
    for file in (*required[1:], *_shards(config.parent / SHARDS)):
        fetch(file, at)
    for file in optional:
        _fetch_if_there(hub, lambda name: fetch(name, at), file)
    return config.parent


def _require_network(hub: Any) -> None:
    """Raises ConnectionError at once where huggingface_hub would try again for half a minute."""
    if hub.constants.is_offline_mode():
        raise ConnectionError("HF_HUB_OFFLINE is set, and they are not in the cache")
    host = urlsplit(hub.constants.ENDPOINT).hostname
    if getproxies() or host is None:
        return

    def resolved() -> Path:
        socket.getaddrinfo(host, 443)
        return Path()

    try:
        within(PATIENCE, resolved)
    except OSError as error:
        raise ConnectionError(f"{host} cannot be reached") from error


def _fetch_if_there(hub: Any, fetch: Callable[[str], Path], file: str) -> bool:
    """Fetches a file that not every repository has."""
    try:
        fetch(file)
    except hub.errors.EntryNotFoundError as error:
        if isinstance(error, hub.errors.LocalEntryNotFoundError):  # the network is gone
            raise
        return False
    return True


def _converted(hub: Any, repository: str) -> str | None:
    """Returns the revision in which Hugging Face's own account has added the weights as safetensors.

    Models of before 2023, BLIP's base model among them, often have them nowhere else.
    """
    for request in hub.HfApi().get_repo_discussions(repository, author=_CONVERTER, discussion_type="pull_request"):
        if request.author == _CONVERTER and request.title == _CONVERTED and request.status == "open":
            return f"refs/pr/{int(request.num)}"
    return None


def _shards(index: Path) -> list[str]:
    if not index.is_file():
        return []
    listed = read_json(index, ConfigError).get("weight_map", {})
    return sorted({name for name in listed.values() if Path(name).name == name})


def _reason(error: Exception) -> str:
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"RepositoryNotFoundError", "GatedRepoError"}:
        return "there is no such repository, or it needs a login: hf auth login"
    if "RevisionNotFoundError" in names:
        return "there is no such revision"
    if "LocalEntryNotFoundError" in names:
        return "huggingface.co cannot be reached"
    return one_line(error)[:200] if str(error) else type(error).__name__
