"""The web page of an export: captions in the visitor's browser, from ONNX files and onnxruntime-web.

The page is a few static files without a build step. It loads nothing from elsewhere, sends nothing anywhere, and works
offline after the first visit. ``docs/web.md`` describes it.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from capsmith.core.files import write_json
from capsmith.core.log import get_logger
from capsmith.core.pages.stylesheet import tokens
from capsmith.decoding.config import DecodingConfig
from capsmith.deploy.export.manifest import file_entries
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import MANIFEST, VOCABULARY

logger = get_logger(__name__)

_RUNTIME = "ort"  # folder of onnxruntime-web
_WORKER = "service-worker.js"
_WORDS = "words.json"
_STYLE = "style.css"
_LICENCE = "ONNXRUNTIME_LICENSE"
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


def write_web(
    folder: Path, captioner: Captioner, entries: Sequence[Mapping[str, Any]], runtime: Mapping[str, bytes]
) -> None:
    """Adds the page and onnxruntime-web to the ONNX files of an export.

    Args:
        folder: The export, without its manifest.
        captioner: The exported captioner.
        entries: The models' entries in the manifest.
        runtime: The files of onnxruntime-web, from ``onnxruntime_web.onnxruntime_web``.
    """
    _report_losses(captioner.config.decoding)
    page = _page_files(files("capsmith.deploy.export") / "web_page")
    worker = page.pop(_WORKER).decode()
    licence = page.pop(_LICENCE)
    page[_STYLE] = tokens().encode() + b"\n" + page[_STYLE]
    for name, content in page.items():
        _write(folder / name, content)
    for name, content in runtime.items():  # servers know the type of .js, but not all know .mjs
        _write(folder / _RUNTIME / name.replace(".mjs", ".js"), content)
    _write(folder / _RUNTIME / "LICENSE", licence)
    notices = _third_party_notices()
    if notices is not None:
        _write(folder / _RUNTIME / "ThirdPartyNotices.txt", notices)
    write_json(folder / _WORDS, _words(captioner))
    policy = _POLICY.search(page["index.html"].decode())
    _write(folder / _WORKER, _service_worker(folder, captioner, worker, policy[1] if policy else "").encode())


def _report_losses(decoding: DecodingConfig) -> None:
    """Warns of settings that the search of the page does not have."""
    if decoding.type == "sample":
        logger.warning("export: the page uses beam search: random captions would differ at every visit")
    if decoding.rerank is not None:
        logger.warning(f"export: the page searches without the reranker '{decoding.rerank.type}'")
    ignored = [name for name in ("include", "n") if getattr(decoding, name)]
    if ignored:
        logger.warning(f"export: the page searches without decoding.{' and decoding.'.join(ignored)}")


def _words(captioner: Captioner) -> dict[str, Any]:
    """Returns the prefix and the words to exclude as token ids, which the page does not compute from text."""
    wishes = captioner.wishes(captioner.config.decoding)
    return {"prefix": wishes.prefix if wishes else (), "exclude": wishes.exclude if wishes else ()}


def _service_worker(folder: Path, captioner: Captioner, template: str, policy: str) -> str:
    """Returns the service worker with the names of the files to store, and a version that changes with any of them."""
    entries = file_entries(folder)
    needed = [name for name in entries if not name.endswith((".npz", ".txt", "LICENSE"))]
    content = json.dumps([entries, captioner.config.model_dump(mode="json"), template], sort_keys=True)
    values = {
        "@VERSION@": hashlib.sha256(content.encode()).hexdigest()[:16],
        "@FILES@": sorted({*needed, MANIFEST, VOCABULARY}),
        "@POLICY@": policy,
    }
    for mark, value in values.items():
        template = template.replace(json.dumps(mark), json.dumps(value))
    return template


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _page_files(folder: Traversable, parent: str = "") -> dict[str, bytes]:
    """Returns the files of a folder of package data by relative path."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _page_files(entry, f"{parent}{entry.name}/")
        else:
            found[f"{parent}{entry.name}"] = entry.read_bytes()
    return found


def _third_party_notices() -> bytes | None:
    """Returns the notices of onnxruntime's dependencies, which its Python package contains."""
    spec = importlib.util.find_spec("onnxruntime")
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        path = Path(place) / "ThirdPartyNotices.txt"
        if path.is_file():
            return path.read_bytes()
    return None
