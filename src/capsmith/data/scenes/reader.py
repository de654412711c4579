"""The built-in dataset: rendered scenes with five captions each, drawn on first use.

Each scene has two things with colour, size, number and relation in one of seven places under one of six skies. dev and
test contain pairs of coloured things that never occur in train; see ``plan.py`` for the rule.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from capsmith.core.errors import DataError
from capsmith.core.files import read_json
from capsmith.core.scopes import Scope
from capsmith.data.records import DATASETS, SPLITS, Corpus, DatasetConfig, Record

_FORMAT = "capsmith scenes 5"
"""Incremented when the drawing or the grammar changes, so that old images are redrawn."""
_OLD_IMAGES = "pictures"  # the key of the images in manifests of earlier versions


@DATASETS.register("capsmith.data.scenes.reader:read")
class ScenesConfig(DatasetConfig):
    """Rendered scenes with five captions each, drawn by capsmith itself: nothing to download."""

    renamed: ClassVar[dict[str, str]] = {
        **DatasetConfig.renamed,
        "things": "was removed: scenes show the eight kinds of thing that 'few' chose; delete the key",
    }

    type: Literal["scenes"] = "scenes"
    root: Annotated[Path, Scope.FILES] = Path("data/scenes")
    """Folder for the images, which are drawn on first use."""
    train: int = Field(default=3000, ge=1)
    """Number of training images."""
    dev: int = Field(default=200, ge=0)
    """Number of dev images. Each shows a pair of things that no training image shows."""
    test: int = Field(default=300, ge=0)
    """Number of test images. Each shows a pair of things that no training or dev image shows."""
    size: int = Field(default=96, ge=32, le=1024)
    """Side of the square images in pixels."""
    seed: int = 0
    """Seed of scenes, images and captions."""

    def missing(self) -> Iterator[str]:
        """Yields nothing: missing images are drawn."""
        return iter(())


def read(config: ScenesConfig) -> Corpus:
    """Returns the scenes, after drawing missing images.

    The manifest next to the images records their content and the config that drew them. Another config replaces the
    images; interrupted drawing is resumed.

    Args:
        config: The scenes and their folder.

    Raises:
        DataError: The folder contains images that capsmith did not draw, or a damaged manifest.
        CapsmithError: The folder cannot be written.
    """
    manifest = build_manifest(config)
    folder = config.root / "images"
    _claim(config.root, manifest)
    entries = [entry for entry in manifest["images"] if config.limit is None or entry["number"] < config.limit]
    _draw_missing(folder, entries, config)
    return Corpus(tuple(Record(e["id"], folder / e["id"], tuple(e["captions"]), e["split"]) for e in entries))


def build_manifest(config: ScenesConfig) -> dict[str, Any]:
    """Returns the manifest: format, config, and each image with its scene and captions. Draws nothing."""
    from capsmith.data.scenes.captions import captions
    from capsmith.data.scenes.plan import plan

    images = []
    for split in SPLITS:
        for number in range(getattr(config, split)):
            rng = random.Random(f"{config.seed} {split} {number} words")  # noqa: S311 - not for cryptography
            scene = plan(rng, split)
            entry = {"id": f"{split}_{number:05d}.png", "split": split, "number": number}
            images.append({**entry, "captions": list(captions(scene, rng)), "scene": scene.to_json()})
    settings = {name: getattr(config, name) for name in ("train", "dev", "test", "size", "seed")}
    return {"format": _FORMAT, "config": settings, "images": images}


def _claim(root: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest into the folder, after removing the images of another config."""
    from capsmith.core.files import write_text

    path, folder = root / "manifest.json", root / "images"
    old: Any = {"format": _FORMAT, "images": []}
    if path.exists():
        old = _migrated(read_json(path, DataError))
        if old == manifest:
            return
    if not isinstance(old, dict) or not str(old.get("format")).startswith("capsmith scenes"):
        raise DataError(f"{path} is not the manifest of drawn scenes: choose another data.root")
    drawn = {str(entry.get("id")) for entry in old.get("images", ()) if isinstance(entry, dict)}
    present = _names(folder)
    foreign = sorted(present - drawn)
    if foreign:
        raise DataError(f"{folder} contains {foreign[0]}, which capsmith did not draw: choose another data.root")
    try:
        for name in present:  # before the new manifest is written, so that an interruption is recoverable
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot clear {folder} for other scenes: {error.strerror or error}") from error
    write_text(path, _dump(manifest))


def _migrated(manifest: Any) -> Any:
    """Returns a manifest of an earlier version in the current format; anything else unchanged."""
    if not isinstance(manifest, dict):
        return manifest
    values = {"images" if key == _OLD_IMAGES else key: value for key, value in manifest.items()}
    config = values.get("config")
    if isinstance(config, dict) and config.get("things") == "few":
        values["config"] = {key: value for key, value in config.items() if key != "things"}
    return values


def _names(folder: Path) -> set[str]:
    """Returns the names of the images in a folder; partially written ones begin with a dot and do not count."""
    try:
        return {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error


def _dump(manifest: dict[str, Any]) -> str:
    """Returns JSON with one line per image: small, and still readable."""
    images = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in manifest["images"])
    head = json.dumps({key: value for key, value in manifest.items() if key != "images"})
    return f'{head[:-1]}, "images": [\n{images}\n]}}\n'


def _draw_missing(folder: Path, entries: list[dict[str, Any]], config: ScenesConfig) -> None:
    present = _names(folder)
    missing = [entry for entry in entries if entry["id"] not in present]
    if not missing:
        return
    from capsmith.core.files import atomic
    from capsmith.core.progress import track
    from capsmith.data.scenes.drawing import draw_scene
    from capsmith.data.scenes.plan import Scene

    for entry in track(missing, desc="drawing scenes", unit="image"):
        rng = random.Random(f"{config.seed} {entry['split']} {entry['number']} looks")  # noqa: S311 - as above
        image = draw_scene(Scene.from_json(entry["scene"]), rng, config.size)
        with atomic(folder / entry["id"], "wb") as file:
            image.save(file, "PNG")
