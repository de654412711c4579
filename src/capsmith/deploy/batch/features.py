"""Features of millions of images, computed in shards: ``capsmith extract --engine …``.

The job lies in the folder of the feature store, which training and evaluation find as usual::

    manifest.json           ids and sizes of all rows, as in every store, and the shards that hold them
    job-000/                the job of the images that were new, see ``job.py``
      shards/00000000.npy   features of a block, (n, D) float32 or (n, L, D) float16
      shards/00000000.parquet   id and file size of each row

Images that are new or changed later are another job, ``job-001``.
"""

import io
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, FeatureError, one_line
from capsmith.core.log import get_logger
from capsmith.data.prepare import Compute
from capsmith.deploy.batch.engines import engine_named
from capsmith.deploy.batch.inputs import NamedImage
from capsmith.deploy.batch.job import Engine, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import BLOCK, Plan, Unit, block_size, import_pyarrow
from capsmith.deploy.batch.shards import Shard, read_shard, shard_name
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.encoded_batches import (
    SourceImage,
    as_stored,
    build_encoder_in,
    build_fastest,
    encoded_batches,
    fixed_precision,
    stored_dtype,
)
from capsmith.vision.extraction import (
    log_unreadable,
    require_readable,
    stat_images,
    store_fingerprint,
    store_folder,
    why_absent,
)
from capsmith.vision.fingerprint import describe_differences
from capsmith.vision.grid_file import GridFile
from capsmith.vision.journal import locked_store
from capsmith.vision.journal_lines import current_manifest
from capsmith.vision.manifest import Manifest
from capsmith.vision.store import FeatureStore

logger = get_logger(__name__)

_JOBS = 1_000  # in a store


def in_shards(engine: str = "local", workers: int | None = None) -> Compute:
    """Returns a way to compute features in shards, for ``capsmith.extract`` as its second argument.

    Args:
        engine: ``local`` or ``ray``.
        workers: Processes of ``ray``.

    Raises:
        ConfigError: There is no such engine.
        MissingExtraError: It is not installed.
    """
    return partial(extract_sharded, engine=engine_named(engine, workers))


@dataclass
class FeatureWork:
    """The work of a job that encodes images.

    Attributes:
        encoder: The encoder.
        precision: In which it computes.
        batch_size: Images that are encoded at once.
        expected: Fingerprint of the features, computed where the job was started.
        crop: Number of the cached crop; 0 for complete images.
        title: For progress.
    """

    encoder: EncoderConfig
    precision: str
    batch_size: int
    expected: dict[str, Any]
    crop: int = 0
    title: str = "features"

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The encoder, its precision, and the crop."""
        return {"encoder": self.expected, "precision": self.precision}

    def open(self, threads: int) -> Callable[[Iterator[NamedImage]], Shard]:
        """Builds the encoder.

        Raises:
            FeatureError: This machine has other weights than the one that started the job.
        """
        if differs := describe_differences(store_fingerprint(self.encoder, self.crop), self.expected):
            raise FeatureError(
                f"{platform.node()} has another encoder than the machine that started the job ({differs}): copy its "
                "files there"
            )
        encoder = build_encoder_in(self.encoder, self.precision)
        return partial(self._encoded, encoder, max(threads, 2))

    def _encoded(self, encoder: Any, workers: int, images: Iterator[NamedImage]) -> Shard:
        """Returns the features of a block."""
        sources = (SourceImage(image.name, image.read, image.size) for image in images)
        batches = list(encoded_batches(sources, encoder, self.batch_size, workers, self.crop))
        kept = [image for batch in batches for image in batch.images]
        features = np.concatenate([batch.features for batch in batches])
        failed = {id: note["reason"] for batch in batches for id, note in batch.unreadable.items()}
        buffer = io.BytesIO()
        np.save(buffer, as_stored(features, stored_dtype(self.encoder)), allow_pickle=False)
        arrow, _ = import_pyarrow()
        ids = arrow.array([image.id for image in kept], arrow.string())
        sizes = arrow.array([image.size for image in kept], arrow.int64())
        return Shard({"id": ids, "size": sizes}, failed, {".npy": buffer.getvalue()})


def extract_sharded(
    images: Sequence[tuple[str, Path]],
    encoder_config: EncoderConfig,
    features_config: FeaturesConfig,
    crop: int = 0,
    *,
    engine: Engine,
) -> FeatureStore:
    """Returns the features of images in shards, computing those that the store does not have yet.

    Args:
        images: (image id, path) pairs; on a cluster, all nodes need these paths, and the folder of the store.
        encoder_config: The encoder.
        features_config: As for ``vision.extraction.extract``.
        crop: Number of the cached crop; 0 for the complete images.
        engine: Computes the blocks.

    Raises:
        FeatureError: Too many images are unreadable, the store belongs to another encoder or is not one of shards.
        CapsmithError: As ``run_job``.
    """
    requested, paths = stat_images(images), dict(images)
    expected = store_fingerprint(encoder_config, crop)
    folder = store_folder(images, encoder_config, features_config, crop)
    with locked_store(folder):
        manifest = current_manifest(folder, expected)
        sizes = manifest.file_sizes() if manifest else {}
        todo = [image for image in requested if sizes.get(image.id) != image.size]
        if todo and manifest is not None and not manifest.shards and manifest.ids:
            raise FeatureError(
                f"{folder} was extracted without --engine, and {len(todo):,} of {len(requested):,} images are missing: "
                "go on without it, or delete the folder"
            )
        absent = {image.id: why_absent(paths[image.id]) for image in todo if image.size < 0}
        require_readable(requested, (manifest.reasons() if manifest else {}) | absent, features_config)
        if todo:
            stored = manifest.precision if manifest else None
            precision = fixed_precision(encoder_config, features_config, len(todo), stored)
            if precision is None:
                precision = build_fastest(encoder_config, features_config, len(todo), stored)[1]
            work = FeatureWork(encoder_config, precision, features_config.batch_size, expected, crop)
            manifest = manifest or Manifest(expected, (), stored_dtype(encoder_config), precision=precision)
            _compute(work, folder, manifest, todo, paths, engine)
            require_readable(requested, manifest.reasons(), features_config)
            if not manifest.shards:
                raise FeatureError(f"no image can be read; the first: {next(iter(manifest.reasons().values()))}")
            manifest.write(folder)
            log_unreadable(todo, manifest)
    return FeatureStore.open(folder, expected)


def _compute(
    work: FeatureWork,
    folder: Path,
    manifest: Manifest,
    todo: Sequence[SourceImage],
    paths: dict[str, Path],
    engine: Engine,
) -> None:
    """Runs the job of the missing images and adds its shards; images that came after its plan are another job."""
    left = {image.id: image for image in todo}
    used = 1 + max((int(shard["name"][4:7]) for shard in manifest.shards), default=-1)
    for number in range(used, _JOBS):
        job = Place((folder / f"job-{number:03d}").absolute())
        wanted = list(left.values())

        def plan(place: Place, wanted: list[SourceImage] = wanted) -> Plan:
            units = (Unit(image.id, str(paths[image.id].absolute()), size=image.size) for image in wanted)
            return Plan.make(place, "/", "images", units, min(block_size(len(wanted)), BLOCK))

        run_job(work, str(folder.absolute()), job.uri, plan, engine)
        _add(job, manifest, left, paths)
        if not left:
            return
    raise FeatureError(f"{folder} has {_JOBS:,} jobs: delete it and extract again")


def _add(job: Place, manifest: Manifest, left: dict[str, SourceImage], paths: dict[str, Path]) -> None:
    """Adds the shards of a job to the manifest, and takes its images from those that are left.

    The job may be an older, interrupted one: an image that it could not read, but which was changed or moved since, is
    left.
    """
    blocks = Plan.read(job)
    row_of = {image: row for row, image in enumerate(manifest.ids) if image is not None}
    for block in range(blocks.blocks if blocks else 0):
        table, failed = read_shard(job, block)
        name = f"{shard_name(block)}.npy"
        try:
            ids, sizes = table.column("id").to_pylist(), table.column("size").to_pylist()
            if not all(type(id) is str for id in ids) or not all(type(size) is int for size in sizes):
                raise ValueError("its ids and sizes are of other types")
            if ids:
                manifest.shape = manifest.shape or _row_shape(job, name)
                GridFile(Path(job.uri) / name, manifest.shape, manifest.dtype, len(ids)).close()
        except (KeyError, ValueError, FeatureError) as error:
            raise CheckpointError(
                f"{job}/{name} is damaged ({one_line(error)[:200]}): delete it and its .parquet, and run again"
            ) from error
        for id in ids:
            if id in row_of:
                manifest.ids[row_of[id]] = None
            manifest.broken.pop(id, None)
        row_of |= {id: len(manifest.ids) + place for place, id in enumerate(ids)}
        manifest.ids += ids
        manifest.sizes += sizes
        if ids:
            manifest.shards.append({"name": f"{Path(job.uri).name}/{name}", "rows": len(ids)})
        current = {id: size for id, size in zip(ids, sizes, strict=True) if id in left and left[id].size == size}
        planned = {unit.name: (unit.path, unit.size) for unit in blocks.block(block)} if blocks and failed else {}
        for id, reason in failed.items():
            if id in left and planned.get(id) == (str(paths[id].absolute()), left[id].size):
                if (row := row_of.pop(id, None)) is not None:
                    manifest.ids[row] = None
                manifest.broken[id] = {"reason": reason, "size": left[id].size}
                current[id] = left[id].size
        for id in current:
            del left[id]


def _row_shape(job: Place, name: str) -> tuple[int, ...]:
    with job.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError("an unknown version of .npy")
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    if len(shape) not in (2, 3):
        raise ValueError(f"its shape is {shape}")
    return tuple(shape[1:])
