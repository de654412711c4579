"""Evaluation: captions a split, scores the captions and writes the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.config import Config
from capsmith.core.errors import DataError, FeatureError
from capsmith.core.files import path_argument
from capsmith.core.input_files import input_files
from capsmith.core.log import get_logger
from capsmith.core.outputs import PAGE, require_page
from capsmith.core.spelling import nearest
from capsmith.data.prepare import Prepared, prepare, read_corpus
from capsmith.data.records import SPLITS, Corpus, Record
from capsmith.evaluation import readings
from capsmith.evaluation.build_index import build_caption_index
from capsmith.evaluation.decode import decode_images
from capsmith.evaluation.exported_features import exported_features
from capsmith.evaluation.write_results import predictions_text, search_settings, write_results
from capsmith.metrics import Score, Scorer
from capsmith.metrics.grounding import detections
from capsmith.metrics.grounding.detections import DetectedLabels
from capsmith.metrics.grounding.hallucination import is_hallucination
from capsmith.models.caption import Caption
from capsmith.models.captioner import Captioner
from capsmith.models.ensemble_run import RunPaths, find_runs
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_member import ExportedMember
from capsmith.models.feature_origin import require_encoder
from capsmith.models.judge_copy import copy_judge
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.training.common.config import RootConfig

logger = get_logger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """The captions of a split and their scores.

    Attributes:
        split: Name of the split.
        captions: The caption of each image.
        scores: The score of each metric.
        control: Scores of the same captions on other images of the split: those of a model that ignores the image.
        directory: Folder of predictions, scores and the report.
    """

    split: str
    captions: dict[str, Caption]
    scores: dict[str, Score]
    control: dict[str, Score]
    directory: Path

    @property
    def page(self) -> Path:
        """The report page."""
        return self.directory / PAGE


def evaluate_runs(
    run: RunPaths,
    split: str = "test",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    average: bool = False,
) -> Evaluation:
    """Scores a captioner on a split, and writes the report. Arguments and errors as ``kinds.evaluate``."""
    runs = find_runs(run, overrides, average)
    if split not in SPLITS:
        raise DataError(f"split: {split!r:.80} is not one of {', '.join(SPLITS)}{nearest(split, SPLITS)}")
    configs = runs.configs()
    out = path_argument(out, "out") if out is not None else runs.report
    require_report(out, split, configs[0])
    exported = [ExportFolder(directory).is_export for directory in runs.runs]
    for directory, config, is_export in zip(runs.runs, configs, exported, strict=True):
        if not is_export:
            require_encoder(config, directory)
    captioner = Captioner.load_members(runs.runs, configs, encoder=any(exported), average=runs.average)
    corpus = read_corpus(configs[0].data, configs[0].features)
    index = RunDirectory(runs.runs[0])
    if configs[0].decoding.requires_caption_index and not exported[0] and not index.caption_index.exists():
        prepared = _training_images(configs[0], index, corpus)
        build_caption_index(captioner.members[0], prepared).save(index.path)
    if not exported[0]:
        copy_judge(configs[0], index.path)
    return evaluate_captioner(captioner, out, corpus, split, runs.runs, runs.average)


def require_report(out: Path, split: str, config: RootConfig) -> None:
    """Checks that the report of a split may be written, before any work is done.

    Raises:
        ConfigError: It would replace files that capsmith did not write, or files that the config reads.
    """
    require_page(_directory(out, split), "--out", input_files(config), report=True)


def evaluate_captioner(
    captioner: Captioner,
    out: Path,
    corpus: Corpus,
    split: str,
    runs: Sequence[Path] = (),
    average: bool = False,
) -> Evaluation:
    """Captions and scores a split with a loaded captioner, and writes the report.

    A reading of ``test`` is recorded in ``test_readings.jsonl`` of the runs before any of its scores are shown.

    Args:
        captioner: The model, whose config decides search and metrics.
        out: Folder of the report of ``test``; other splits go into folders inside.
        corpus: The dataset.
        split: The split.
        runs: The runs of the model.
        average: Whether the captioner has the mean of the runs' weights.
    """
    config = captioner.config
    evaluated = readings.sources(runs)  # digests of the files before the long work
    all_prepared = _prepare(captioner, corpus, split)
    records = _common_records(all_prepared, split)
    references = {record.image_id: list(record.captions) for record in records}
    captions = decode_images(
        captioner, [prepared.source for prepared in all_prepared], list(references), config.decoding
    )
    scorer = Scorer(references, config.evaluation.metrics, tokeniser(config), detections=read_detections(config))
    texts = {image_id: caption.text for image_id, caption in captions.items()}
    scores = scorer.score(texts)
    control = scorer.score(shuffled(texts, config.seed)) if len(texts) > 1 else {}
    result = Evaluation(split, captions, scores, control, _directory(out, split))
    notes = []
    if split == "test":
        entry = readings.reading(
            scores,
            runs=evaluated,
            averaged=average,
            decoding=config.decoding.model_dump(mode="json"),
            dataset=config.data.type,
            images=len(texts),
            predictions=predictions_text(captions),
            report=result.directory,
        )
        notes = readings.record(entry, runs, result.directory)
    paths = {record.image_id: record.path for record in records}
    write_results(result.directory, split, config, captions, scores, control, references, paths)
    _log_scores(result, config, notes)
    return result


def shuffled(captions: dict[str, str], seed: int) -> dict[str, str]:
    """Assigns every image the caption of another one: the next in a random cycle."""
    ids = list(captions)
    cycle = np.random.default_rng(seed).permutation(len(ids))
    return {ids[cycle[i]]: captions[ids[cycle[i - 1]]] for i in range(len(ids))}


def tokeniser(config: Config) -> str:
    """Returns the tokeniser for scoring captions of this config."""
    return config.evaluation.tokeniser or ("char" if config.text.mode == "char" else "coco")


def read_detections(config: Config) -> DetectedLabels | None:
    """Reads the detections that the hallucination rate of a config uses; None if it uses none.

    Raises:
        DataError: The file cannot be read, or holds no detections.
    """
    settings = config.evaluation
    if settings.detections is None or not any(map(is_hallucination, settings.metrics)):
        return None
    return detections.read_detections(settings.detections, settings.detection_threshold)


def _prepare(captioner: Captioner, corpus: Corpus, split: str) -> list[Prepared]:
    """Returns images and features of a split for each member."""
    all_prepared = []
    for member in captioner.members:
        if isinstance(member, ExportedMember):
            prepared = exported_features(member, corpus, split)
        else:
            prepared = prepare(corpus, member.config.encoders, member.config.features, (split,), member.encoder)
        if prepared.feature_shape != member.feature_shape:
            raise FeatureError(
                f"the features of an image have shape {prepared.feature_shape}, but this captioner takes "
                f"{member.feature_shape}: do they come from another encoder? (features.store)"
            )
        all_prepared.append(prepared)
    return all_prepared


def _common_records(all_prepared: Sequence[Prepared], split: str) -> list[Record]:
    """Returns the images of a split that every member can read."""
    readable = [{record.image_id for record in prepared.records} for prepared in all_prepared]
    return [record for record in all_prepared[0].split(split) if all(record.image_id in ids for ids in readable)]


def _training_images(config: Config, run: RunDirectory, corpus: Corpus) -> Prepared:
    """Returns the training images of a run, even if ``data.limit`` reduces those of the evaluation."""
    limit = run_config(run.path).data.limit
    if limit != config.data.limit:
        corpus = read_corpus(config.data.model_copy(update={"limit": limit}), config.features)
    return prepare(corpus, config.encoders, config.features, ("train",))


def _directory(out: Path, split: str) -> Path:
    return out / ("" if split == "test" else split)


def _log_scores(result: Evaluation, config: Config, notes: Sequence[str]) -> None:
    label = f"{result.split} ({config.decoding.type})"
    logger.info(f"{label}: {len(result.captions):,} images, {search_settings(config.decoding)}")
    for name, score in result.scores.items():
        against = f"   shuffled images {result.control[name].value:.4f}" if name in result.control else ""
        logger.info(f"  {label} {name:8} {score.value:.4f}{against}   {score.signature}")
    for line in (*notes, f"report: {result.page}"):
        logger.info(line)
