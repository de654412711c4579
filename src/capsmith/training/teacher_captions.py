"""Captions of training images by another captioner, learned beside the references.

This is sequence-level knowledge distillation (Kim and Rush 2016). A teacher, such as an ensemble, words similar images
alike, so its captions are easier to learn than those of people.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from capsmith.core.errors import DataError
from capsmith.core.log import get_logger
from capsmith.data.records import Record
from capsmith.metrics.files import read_captions

logger = get_logger(__name__)


def with_teacher_captions(records: Sequence[Record], path: Path | None) -> list[Record]:
    """Adds a teacher's captions to those of training images.

    Args:
        records: The training images.
        path: ``training.teacher_captions``: captions of some or all of them, in any format that ``capsmith score``
            reads; other images are ignored. None adds nothing.

    Raises:
        DataError: The file cannot be read, or has no caption of a training image.
    """
    if path is None:
        return list(records)
    captions = read_captions(path).captions
    taught = [
        replace(record, captions=(*record.captions, *captions[record.image_id]))
        if record.image_id in captions
        else record
        for record in records
    ]
    images = sum(record.image_id in captions for record in records)
    if not images:
        raise DataError(
            f"training.teacher_captions: {path} has captions of {len(captions):,} images, but of no training image "
            f"(its first is {next(iter(captions))!r:.60}, the first training image is {records[0].image_id!r:.60})"
        )
    count = sum(len(captions.get(record.image_id, ())) for record in records)
    logger.info(f"teacher: {count:,} captions of {images:,} of {len(records):,} training images from {path}")
    return taught
