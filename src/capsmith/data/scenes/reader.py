"""The embedded data set: rendered scenes, each with five captions, drawn on the first use.

Two things with colour, size, number and relation stand in one of seven places under one of six skies. dev and
test hold pairs of coloured things that train never shows; ``scene_plan.py`` has the rule.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from capsmith.core.errors import DataError
from capsmith.core.files import read_json
from capsmith.core.scopes import Scope
from capsmith.data.records import DATASETS, SPLITS, Corpus, DatasetConfig, Record

_FORMAT = "capsmith scenes 5"
"""Counts up when the drawing or the grammar changes, so that old images are drawn anew."""


@DATASETS.register("capsmith.data.scenes.reader:read")
class ScenesConfig(DatasetConfig):
    """Rendered scenes with five captions each, drawn by capsmith itself: nothing to download."""

    type: Literal["scenes"] = "scenes"
    root: Annotated[Path, Scope.FILES] = Path("data/scenes")
    """Folder that the images are drawn into on the first use."""
    train: int = Field(default=3000, ge=1)
    """Images to train on."""
    dev: int = Field(default=200, ge=0)
    """Images that choose the checkpoint; each shows a pair of things that train lacks."""
    test: int = Field(default=300, ge=0)
    """Images that are scored at the end; each shows a pair of things that train and dev lack."""
    size: int = Field(default=96, ge=32, le=1024)
    """Side of the square images in pixels."""
    things: Literal["few", "all"] = "few"
    """``few``: eight kinds of thing in six colours; ``all``: eighteen in eight, which takes longer to learn."""
    seed: int = 0
    """Another seed gives other scenes, images and captions."""

    def missing(self) -> Iterator[str]:
        """Yields nothing: what is not there is drawn."""
        return iter(())


def read(config: ScenesConfig) -> Corpus:
    """Returns the scenes, after drawing those images that are missing.

    The manifest beside the images says what they show and what drew them. Another config replaces the
    images; an interrupted drawing goes on where it stopped.

    Args:
        config: Which scenes, and where.

    Raises:
        DataError: The folder holds images that are not capsmith's, or a damaged manifest.
        CapsmithError: The folder cannot be written.
    """
    manifest = describe(config)
    folder = config.root / "images"
    _settle(config.root, manifest)
    wanted = [entry for entry in manifest["images"] if config.limit is None or entry["number"] < config.limit]
    _draw_missing(folder, wanted, config)
    return Corpus(tuple(Record(e["id"], folder / e["id"], tuple(e["captions"]), e["split"]) for e in wanted))


def describe(config: ScenesConfig) -> dict[str, Any]:
    """Returns the manifest: format, config and every image with its scene and captions; draws nothing."""
    from capsmith.data.scenes.captions import captions
    from capsmith.data.scenes.plan import plan

    images = []
    for split in SPLITS:
        for number in range(getattr(config, split)):
            rng = random.Random(f"{config.seed} {split} {number} words")  # noqa: S311 — no secret
            scene = plan(rng, split, config.things == "few")
            entry = {"id": f"{split}_{number:05d}.png", "split": split, "number": number}
            images.append({**entry, "captions": list(captions(scene, rng)), "scene": scene.to_json()})
    drawn = {name: getattr(config, name) for name in ("train", "dev", "test", "size", "things", "seed")}
    return {"format": _FORMAT, "config": drawn, "images": images}


def _settle(root: Path, manifest: dict[str, Any]) -> None:
    """Makes the folder belong to this manifest, and clears away what another config drew there."""
    from capsmith.core.files import write_text

    path, folder = root / "manifest.json", root / "images"
    old: Any = {"format": _FORMAT, "images": []}
    if path.exists():
        old = read_json(path, DataError)
        if old == manifest:
            return
    if not isinstance(old, dict) or not str(old.get("format")).startswith("capsmith scenes"):
        raise DataError(f"{path} is not the manifest of drawn scenes: choose another data.root")
    known = {str(entry.get("id")) for entry in old.get("images", ()) if isinstance(entry, dict)}
    present = _names(folder)
    strange = sorted(present - known)
    if strange:
        raise DataError(f"{folder} holds {strange[0]}, which capsmith did not draw: choose another data.root")
    try:
        for name in present:  # under the old manifest, so that an interruption here is taken up again
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot clear {folder} for other scenes: {error.strerror or error}") from error
    write_text(path, _dump(manifest))


def _names(folder: Path) -> set[str]:
    """Returns the images in a folder; half-written ones, whose names start with a dot, do not count."""
    try:
        return {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error


def _dump(manifest: dict[str, Any]) -> str:
    """Returns JSON with one image a line: small, and still readable."""
    images = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in manifest["images"])
    head = json.dumps({key: value for key, value in manifest.items() if key != "images"})
    return f'{head[:-1]}, "images": [\n{images}\n]}}\n'


def _draw_missing(folder: Path, images: list[dict[str, Any]], config: ScenesConfig) -> None:
    present = _names(folder)
    missing = [entry for entry in images if entry["id"] not in present]
    if not missing:
        return
    from capsmith.core.files import atomic
    from capsmith.core.progress import track
    from capsmith.data.scenes.drawing import draw_scene
    from capsmith.data.scenes.plan import Scene

    for entry in track(missing, desc="drawing scenes", unit="image"):
        rng = random.Random(f"{config.seed} {entry['split']} {entry['number']} looks")  # noqa: S311 — no secret
        image = draw_scene(Scene.from_json(entry["scene"]), rng, config.size)
        with atomic(folder / entry["id"], "wb") as file:
            image.save(file, "PNG")
