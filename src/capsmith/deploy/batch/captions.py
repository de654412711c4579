"""Captions of millions of images, in Parquet files: ``capsmith caption RUN --input … --output …``.

Each shard, ``shards/00000000.parquet`` and so on, has a row for each readable image of its block, in the order of the
input. The columns are the same for every captioner, and for a shard without rows::

    image                  string        its name: the path below the input, the member of a tar, or the id of a row
    caption                string        the best caption
    score                  double        what the search ranks by
    log_probability        double        log-probability of the caption
    captions               list<string>  all captions that the search returns, best first; with ``n``, those asked for
    scores                 list<double>  their scores
    log_probabilities      list<double>  their log-probabilities
    unlike_training        bool          unlike the training images; null if the captioner does not know them
    training_distance      double        distance from the nearest training image; null likewise
    training_threshold     double        largest usual distance; null likewise

pandas, DuckDB (``select * from 'out/shards/*.parquet'``) and Spark read the folder ``shards`` as one table. A caption
is that of ``capsmith caption`` for the same file.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from capsmith.core.errors import one_line
from capsmith.deploy.batch.engines import engine_named
from capsmith.deploy.batch.inputs import NamedImage, plan_input
from capsmith.deploy.batch.job import Report, run_job
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import import_pyarrow
from capsmith.deploy.batch.shards import Shard
from capsmith.deploy.batch.work import Worker
from capsmith.deploy.folder.names import printable_name
from capsmith.deploy.folder.pipeline import caption_images
from capsmith.deploy.folder.record import record_of
from capsmith.deploy.named_captioner import CaptionerName, NamedCaptioner
from capsmith.vision.images import ImageSource

_READERS = 8  # threads at least that wait for remote files
_DOMAIN = ("unlike_training", "training_distance", "training_threshold")


@dataclass
class CaptionWork:
    """The work of a job that captions images.

    Attributes:
        name: What names the captioner, for other processes.
        fingerprint: The model, and the settings of the search.
        remote: The images are not files of this machine.
        batch_size: Images that are captioned at once; None: see ``caption_images``.
        title: For progress.
    """

    name: CaptionerName
    fingerprint: dict[str, Any]
    remote: bool = False
    batch_size: int | None = None
    title: str = "captions"
    _found: NamedCaptioner | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, captioner: NamedCaptioner, remote: bool = False, batch_size: int | None = None, **more: Any
    ) -> "CaptionWork":
        """Returns the work of a captioner, which this process does not have to find again.

        Args:
            captioner: The captioner.
            remote: See the class, as for ``batch_size``.
            batch_size: Images that are captioned at once.
            more: What else a restart must not change.
        """
        fingerprint = {"model": captioner.fingerprint(), **captioner.settings(), **more}
        return cls(captioner.portable(), fingerprint, remote, batch_size, _found=captioner)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_found": None}

    def open(self, threads: int) -> Worker:
        """Loads the captioner.

        Raises:
            CapsmithError: It cannot be loaded.
        """
        captioner = (self._found or self.name.find()).load(threads)
        return CaptionWorker(captioner, max(threads, _READERS) if self.remote else threads, self.batch_size)


class CaptionWorker:
    """Captions the images of a block.

    Args:
        captioner: A captioner.
        readers: Threads that read and decode images.
        batch_size: Images that are captioned at once.
    """

    def __init__(self, captioner: Any, readers: int, batch_size: int | None = None) -> None:
        self._captioner = captioner
        # Keras and TensorFlow trace functions, which two threads should not do at once
        overlap = "keras" not in sys.modules
        self._settings: dict[str, Any] = {"workers": readers, "batch_size": batch_size, "overlap": overlap}
        self._source = _file if getattr(captioner, "reads_files", False) else _content

    def __call__(self, images: Iterator[NamedImage]) -> Shard:
        """Returns the captions of a block."""
        names: list[str] = []
        records: list[dict[str, Any]] = []
        failed: dict[str, str] = {}
        with closing(caption_images(self._captioner, images, source=self._source, **self._settings)) as captioned:
            for image, caption, error in captioned:
                name = printable_name(os.fsencode(image.name))
                if error is not None:
                    failed[name] = one_line(error).removeprefix(f"{image.name}: ")
                else:
                    names.append(name)
                    records.append(record_of(caption))
        return Shard(columns_of(names, records), failed)


def columns_of(names: Sequence[str], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the columns of a shard, typed.

    Args:
        names: Names of images.
        records: What ``record_of`` returns for each.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, _ = import_pyarrow()
    text, number = arrow.string(), arrow.float64()
    beams = [record["beams"] for record in records]
    types = {"caption": text, "score": number, "log_probability": number}
    best = {key: arrow.array([one[0][key] for one in beams], type) for key, type in types.items()}
    lists = {
        several: arrow.array([[beam[key] for beam in one] for one in beams], arrow.list_(types[key]))
        for several, key in (("captions", "caption"), ("scores", "score"), ("log_probabilities", "log_probability"))
    }
    domain = {
        key: arrow.array([record.get(key) for record in records], type)
        for key, type in zip(_DOMAIN, (arrow.bool_(), number, number), strict=True)
    }
    return {"image": arrow.array(names, text), **best, **lists, **domain}


def caption_shards(
    model: str | Path | Sequence[str | Path] | NamedCaptioner,
    input: str | Path,
    output: str | Path,
    engine: str = "local",
    workers: int | None = None,
    recursive: bool = True,
    batch_size: int | None = None,
) -> Report:
    """Captions images into Parquet files, and goes on where a killed call stopped.

    Args:
        model: A run, an export, ``starter``, a saved ensemble, the name of a third-party captioner; several runs, which
            form an ensemble; or a captioner with changed settings, ``CaptionerName(…).find()``.
        input: A folder, local or such as ``s3://bucket/folder``; Parquet files, WebDataset tars, or a pattern.
        output: The folder of the job, local or remote; the module says what is in it.
        engine: ``local`` or ``ray``.
        workers: Processes of ``ray``, or threads of ``local``.
        recursive: Look for images in the folders of a folder.
        batch_size: Images that are captioned at once; captions do not depend on it.

    Raises:
        ConfigError: The folder holds something else, or a job with another input, model or settings.
        CapsmithError: The captioner or the input cannot be read.
    """
    if not isinstance(model, NamedCaptioner):
        names = (model,) if isinstance(model, str | Path) else tuple(model)
        model = CaptionerName(names).find()
    runner = engine_named(engine, workers)
    source, target = _address(input), _address(output)
    work = CaptionWork.of(model, Place(source).local is None, batch_size, recursive=recursive)
    return run_job(work, source, target, partial(plan_input, address=source, recursive=recursive), runner)


def _address(place: str | Path) -> str:
    """Returns an address that means the same in every process of this machine."""
    return str(place) if "://" in str(place) else os.path.abspath(place)


def _content(image: NamedImage) -> tuple[ImageSource, str | None]:
    return image.read(), image.name


def _file(image: NamedImage) -> tuple[ImageSource, str | None]:
    return (image.read() if image.path is None else image.path), image.name
