"""Karpathy's ``dataset_*.json`` for Flickr8k, Flickr30k and COCO (Karpathy and Fei-Fei 2015)."""

from pathlib import Path
from typing import Any, Literal

from capsmith.core.errors import DataError
from capsmith.core.files import read_json
from capsmith.core.spelling import nearest
from capsmith.data.files import locate, locate_images
from capsmith.data.record_builder import RecordBuilder
from capsmith.data.records import DATASETS, Corpus, DatasetConfig
from capsmith.data.splits import split_name


@DATASETS.register("capsmith.data.karpathy:read")
class KarpathyConfig(DatasetConfig):
    """Karpathy's dataset_flickr8k.json, dataset_flickr30k.json or dataset_coco.json, with its splits."""

    type: Literal["karpathy"] = "karpathy"
    captions: Path = Path("dataset_flickr8k.json")
    """The JSON file below ``root``."""
    images: Path = Path("Images")
    """The image folder below ``root``; for COCO the folder that holds train2014 and val2014."""
    restval: Literal["train", "drop"] = "train"
    """COCO's 30,504 remaining validation images: ``train`` adds them to the training images, as is usual; ``drop``
    leaves them out."""


def read(config: KarpathyConfig) -> Corpus:
    """Reads the captions and the splits.

    Args:
        config: The files.

    Raises:
        DataError: The file is missing or in another format, or too many rows or images are unusable.
    """
    source = locate(config, config.captions, "captions")
    builder = RecordBuilder(config, source, locate_images(config, config.images))
    for number, entry in enumerate(_entries(source)):
        if isinstance(entry, dict) and entry.get("split") == "restval":
            if config.restval == "drop":
                continue
            entry = {**entry, "split": "train"}
        _add(builder, number, entry)
    return builder.build()


def _entries(source: Path) -> list[Any]:
    content = read_json(source, DataError, strict=False)
    keys = list(content) if isinstance(content, dict) else []
    if "images" not in keys or not isinstance(content["images"], list):
        present = f"keys found: {', '.join(keys)}" if keys else "not an object"
        raise DataError(f"{source} has no list 'images'{nearest('images', keys)} ({present})")
    entries: list[Any] = content["images"]
    if entries and not any(isinstance(entry, dict) and "sentences" in entry for entry in entries):
        raise DataError(
            f"{source} has images without 'sentences': is it COCO's own annotation file? "
            "This reader reads Karpathy's dataset_coco.json; "
            "data.type=folder reads COCO's captions_*.json and draws a split"
        )
    return entries


def _add(builder: RecordBuilder, number: int, entry: Any) -> None:
    """Adds the captions of one image."""
    where = f"images[{number}]"
    fields = entry if isinstance(entry, dict) else {}
    name, below, split = fields.get("filename"), fields.get("filepath", ""), fields.get("split")
    sentences = fields.get("sentences")
    known_split = split_name(split) if isinstance(split, str) else None
    if not isinstance(name, str) or not isinstance(below, str) or not isinstance(sentences, list):
        builder.reject("image without filename or sentences", where)
        return
    if known_split is None:
        builder.reject("unknown split (train, restval, val or test)", f"{split!r} in {where}")
        return
    image_id = f"{below}/{name}" if below else name
    for index, sentence in enumerate(sentences):
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if isinstance(raw, str):
            builder.add(image_id, raw, known_split, key=str(index))
        else:
            builder.reject("sentence without 'raw'", f"{where}.sentences[{index}]")
