"""Evaluation of a third-party captioner on a split of a data set: it has no run, so a config names the images."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from capsmith.config import Config, load_config
from capsmith.core.errors import CapsmithError, ConfigError, DataError, ImageError
from capsmith.core.files import path_argument, write_text
from capsmith.core.log import get_logger
from capsmith.core.progress import track
from capsmith.core.readers.json_files import parse_json
from capsmith.core.readers.regular_files import read_text
from capsmith.core.spelling import nearest
from capsmith.data.prepare import read_corpus, require_splits
from capsmith.data.records import SPLITS, Record
from capsmith.evaluation import readings
from capsmith.evaluation.evaluate import Evaluation, require_report, shuffled, tokeniser
from capsmith.evaluation.write_results import predictions_text, search_settings, write_results
from capsmith.metrics import Scorer
from capsmith.models.caption import Caption
from capsmith.models.external.captioner import ExternalCaptioner
from capsmith.models.external.load import load_external

PARTIAL = "captions.partial.jsonl"
"""Captions of an evaluation that is not finished; the same command goes on from there."""
_NAMED = 5  # unreadable images in the log
logger = get_logger(__name__)


def evaluate_external(
    name: str,
    dataset: str | Path,
    split: str = "test",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
) -> Evaluation:
    """Captions a split of a data set with a third-party captioner, scores the captions, and writes the report.

    Args:
        name: The captioner, such as ``blip:FOLDER``.
        dataset: A config, whose ``data``, ``text`` and ``evaluation`` are used.
        split: ``train``, ``dev`` or ``test``.
        overrides: Changes: those of ``decoding`` to the captioner's search, the others to the config.
        out: Folder of the report; by default ``runs/NAME/report``.

    Raises:
        ConfigError: The config or a change is invalid.
        DataError: There is no such split, or the data cannot be used.
        CapsmithError: The captioner failed.
    """
    if split not in SPLITS:
        raise DataError(f"split: {split!r:.80} is not one of {', '.join(SPLITS)}{nearest(split, SPLITS)}")
    search = [one for one in overrides if one.strip().startswith("decoding.")]
    config = load_config(dataset, [one for one in overrides if one not in search])
    if not isinstance(config, Config):
        raise ConfigError(f"--dataset {dataset} is the config of a joint embedding: name one of a captioner")
    folder = path_argument(out, "out") if out is not None else Path("runs") / _short(name) / "report"
    require_report(folder, split, config)
    captioner = load_external(name, search)
    corpus = read_corpus(config.data, config.features)
    require_splits(corpus, [split])
    directory = folder / ("" if split == "test" else split)
    records = corpus.split(split)
    captions = _captions(captioner, records, directory)
    records = [record for record in records if record.image_id in captions]
    references = {record.image_id: list(record.captions) for record in records}
    texts = {image_id: caption.text for image_id, caption in captions.items()}
    scorer = Scorer(references, config.evaluation.metrics, tokeniser(config))
    scores = scorer.score(texts)
    control = scorer.score(shuffled(texts, config.seed)) if len(texts) > 1 else {}
    if split == "test":
        directory.mkdir(parents=True, exist_ok=True)
        entry = readings.reading(
            scores,
            runs=[{"run": name, "fingerprint": captioner.engine.fingerprint}],
            averaged=False,
            decoding=captioner.config.decoding.model_dump(mode="json"),
            dataset=config.data.type,
            images=len(texts),
            predictions=predictions_text(captions),
            report=directory,
        )
        readings.record(entry, [], directory)
    paths = {record.image_id: record.path for record in records}
    results = config.model_copy(update={"decoding": captioner.config.decoding})
    write_results(directory, split, results, captions, scores, control, references, paths, model=captioner.name)
    (directory / PARTIAL).unlink(missing_ok=True)
    logger.info(f"{split}: {len(texts):,} images, {search_settings(captioner.config.decoding)}")
    return Evaluation(split, captions, scores, control, directory)


def _captions(captioner: ExternalCaptioner, records: Sequence[Record], directory: Path) -> dict[str, Caption]:
    """Returns the captions of the images that can be read; those of a run that was interrupted are not made again."""
    path = directory / PARTIAL
    about = {
        "model": captioner.engine.fingerprint,
        "decoding": captioner.config.decoding.model_dump(mode="json"),
        "images": _images(records),
    }
    found = dict(_kept(path, about))
    todo = [record for record in records if record.image_id not in found]
    failed: list[ImageError] = []
    write_text(path, "".join(f"{json.dumps(line)}\n" for line in [about, *map(_line, found, found.values())]))
    with path.open("a", encoding="utf-8") as file:
        for first in track(range(0, len(todo), captioner.images_at_once), desc="captions", unit="batch"):
            batch = todo[first : first + captioner.images_at_once]
            made = captioner.caption([record.path for record in batch], on_error="return")
            for record, caption in zip(batch, made, strict=True):
                if isinstance(caption, ImageError):
                    failed.append(caption)
                    continue
                found[record.image_id] = caption
                file.write(json.dumps(_line(record.image_id, caption)) + "\n")
            file.flush()
    for error in failed[:_NAMED]:
        logger.warning(f"skipped: {error}")
    if not found:
        raise failed[0] if failed else DataError("the split has no images")
    return {record.image_id: found[record.image_id] for record in records if record.image_id in found}


def _images(records: Sequence[Record]) -> str:
    """Returns a hash of the images of a split: those of two data sets may have the same names."""
    files = [[record.image_id, str(record.path.absolute())] for record in records]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def _line(image_id: str, caption: Caption) -> dict[str, Any]:
    return {"image": image_id, "caption": caption.text, "log_probability": caption.log_probability}


def _kept(path: Path, about: Any) -> Iterator[tuple[str, Caption]]:
    """Yields what a run with the same model, search and images has made; the last line may be incomplete."""
    if not path.is_file():
        return
    try:
        first, *lines = read_text(path).splitlines()
        if parse_json(first) != about:
            return
        values = [parse_json(line) for line in lines[:-1]]
        kept = [(str(one["image"]), str(one["caption"]), float(one["log_probability"])) for one in values]
    except (OSError, ValueError, KeyError, TypeError, CapsmithError):
        return
    for image_id, text, number in kept:
        yield image_id, Caption(text, number, number, words=tuple(text.split()))


def _short(name: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in name)
    return kept.strip("-._")[:60] or "external"
