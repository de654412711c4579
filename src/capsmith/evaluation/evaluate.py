"""Evaluation: decode a split, score it, write the report."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.config import Config
from capsmith.core.errors import CheckpointError, DataError, FeatureError, memory_for
from capsmith.core.files import named, write_json, write_text
from capsmith.core.log import get_logger
from capsmith.core.outputs import input_files, require_page
from capsmith.core.progress import track
from capsmith.core.schema import nearest
from capsmith.data.prepare import Prepared, prepare, read_corpus
from capsmith.data.records import SPLITS, Corpus
from capsmith.decoding.limits import images_at_once
from capsmith.decoding.rerank.mbr import ConsensusConfig
from capsmith.decoding.search import DecodingConfig, search
from capsmith.decoding.stepper import Views
from capsmith.evaluation import readings
from capsmith.evaluation.report import write_report
from capsmith.metrics import Score, Scorer
from capsmith.models.captioner import Caption, Captioner
from capsmith.models.ensemble import JointStepper, Member, average, require_same_words
from capsmith.models.given_features import require_encoder
from capsmith.models.run_config import run_config, run_configs
from capsmith.retrieval.caption_index import FILE as MEMORY
from capsmith.retrieval.caption_index import Memory

logger = get_logger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What a model said about a split and how well.

    Attributes:
        split: The split's name.
        captions: The caption of each image.
        scores: Each metric's score.
        control: The same for captions of other images of the split: what a model that does not look would score.
        directory: Where predictions, scores and ``index.html`` lie.
    """

    split: str
    captions: dict[str, Caption]
    scores: dict[str, Score]
    control: dict[str, Score]
    directory: Path


def evaluate(
    run: str | Path | Sequence[str | Path],
    split: str = "test",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    averaged: bool = False,
) -> Evaluation:
    """Scores a run's best checkpoint on a split and writes the report.

    Args:
        run: The run directory; several are scored as one model that follows the mean of their probabilities.
        split: ``train``, ``dev`` or ``test``.
        overrides: Changes of the run's config such as ``"decoding.type=beam"``.
        out: Where the report goes; by default ``report`` in the (first) run.
        averaged: Of several runs, take the mean of their weights and not that of their probabilities: for stages of
            one training.

    Raises:
        CheckpointError: A directory is not a run, or is incomplete, or the runs cannot write together.
        ConfigError: An override is not valid, or would change the model.
        DataError: There is no such split, or the data cannot be used.
    """
    if not isinstance(run, str | Path | Iterable):
        raise TypeError(f"run is the path of a run directory, or a list of them, not {type(run).__name__}")
    runs = [named(one, "run") for one in ([run] if isinstance(run, str | Path) else run)]
    if not runs:
        raise CheckpointError("there is no run to evaluate: the list is empty")
    if split not in SPLITS:
        raise DataError(f"split: {split!r:.80} is none of {', '.join(SPLITS)}{nearest(split, SPLITS)}")
    configs = run_configs(runs, overrides)
    name = "report" if len(runs) == 1 else "report/average" if averaged else "report/ensemble"
    out = named(out, "out") if out is not None else runs[0] / name
    require_report(out, split, configs[0])
    captioners = []
    for one, config in zip(runs, configs, strict=True):
        require_encoder(config, one)
        captioners.append(Captioner.load(one, encoder=False))
        captioners[-1].config = config
    require_same_words(captioners, runs)
    corpus = read_corpus(captioners[0].config.data, captioners[0].config.features)
    if isinstance(captioners[0].config.decoding, ConsensusConfig) and not (runs[0] / MEMORY).exists():
        remember(captioners[0], _trained_on(captioners[0].config, runs[0], corpus)).save(runs[0])
    if averaged:
        captioners = [average(captioners, runs)]
    return evaluate_captioners(captioners, out, corpus, split, runs, averaged)


def require_report(out: Path, split: str, config: Config) -> None:
    """Checks that the report of a split may be written, long before it is.

    Raises:
        ConfigError: Files that are not ours are in its place, or files that the config reads.
    """
    require_page(_directory(out, split), "--out", input_files(config), report=True)


def _directory(out: Path, split: str) -> Path:
    return out / ("" if split == "test" else split)


def _trained_on(config: Config, run: Path, corpus: Corpus) -> Prepared:
    """Returns the training images of a run, however few of them an evaluation for trial is limited to."""
    limit = run_config(run).data.limit
    if limit != config.data.limit:
        corpus = read_corpus(config.data.model_copy(update={"limit": limit}), config.features)
    return prepare(corpus, config.encoders, config.features, ("train",))


def remember(captioner: Captioner, prepared: Prepared) -> Memory:
    """Lets a captioner remember its training images, for the decodings that ask them.

    Args:
        captioner: Its vocabulary says how captions are remembered; the memory becomes its own.
        prepared: The training images and their features.
    """
    words, text = captioner.vocabulary, captioner.config.text
    records = prepared.split("train")
    logger.info(f"remembering the captions and looks of {len(records):,} training images")
    captions = [[words.encode(tokens) for tokens in record.tokens(text)] for record in records]
    ids = [record.image_id for record in records]
    captioner.memory = Memory.of(Member(captioner, prepared.source), ids, captions)
    return captioner.memory


def evaluate_captioners(
    captioners: Sequence[Captioner],
    out: Path,
    corpus: Corpus,
    split: str,
    runs: Sequence[Path] = (),
    averaged: bool = False,
) -> Evaluation:
    """Decodes a split with loaded captioners that write together, scores it, and writes the report.

    A reading of ``test`` is noted in the runs' ``test_readings.jsonl`` before anything is shown of it.

    Args:
        captioners: The model, or the members of an ensemble; the first one's config says how to search and score.
        out: The report of ``test`` goes here, that of another split into a folder of its name.
        corpus: The dataset.
        split: Which images.
        runs: Where the captioners come from.
        averaged: The captioner has the mean of the runs' weights.
    """
    config = captioners[0].config
    evaluated = readings.sources(runs)
    all_prepared = [
        prepare(corpus, one.config.encoders, one.config.features, (split,), one.encoder) for one in captioners
    ]
    for one, its in zip(captioners, all_prepared, strict=True):
        if its.feature_shape != one.feature_shape:
            raise FeatureError(
                f"the features of an image have shape {its.feature_shape}, but this captioner takes "
                f"{one.feature_shape}: are they of another encoder? (features.store)"
            )
    prepared = all_prepared[0]
    members = [Member(one, its.source) for one, its in zip(captioners, all_prepared, strict=True)]
    readable = [{record.image_id for record in its.records} for its in all_prepared]
    records = [record for record in prepared.split(split) if all(record.image_id in ids for ids in readable)]
    references = {record.image_id: list(record.captions) for record in records}
    captions = caption_source(members, list(references), config.decoding)
    scorer = Scorer(references, config.evaluation.metrics, tokeniser(config))
    texts = {image_id: caption.text for image_id, caption in captions.items()}
    scores = scorer.score(texts)
    control = scorer.score(shuffled(texts, config.seed)) if len(texts) > 1 else {}
    directory = _directory(out, split)
    done = Evaluation(split, captions, scores, control, directory)
    told = []
    if split == "test":
        entry = readings.reading(
            scores,
            runs=evaluated,
            averaged=averaged,
            decoding=config.decoding.model_dump(mode="json"),
            dataset=config.data.type,
            images=len(texts),
            predictions=_predictions(captions),
            report=directory,
        )
        told = readings.keep(entry, runs, directory)
    _write(done, config, {record.image_id: record.path for record in records}, references)
    label = f"{split} ({config.decoding.type})"
    logger.info(f"{label}: {len(texts):,} images, {_search_name(config.decoding).partition(' ')[2]}")
    for name, score in scores.items():
        against = f"   shuffled images {control[name].value:.4f}" if name in control else ""
        logger.info(f"  {label} {name:8} {score.value:.4f}{against}   {score.signature}")
    for line in (*told, f"report: {directory / 'index.html'}"):
        logger.info(line)
    return done


def caption_source(members: Sequence[Member], ids: Sequence[str], decoding: DecodingConfig) -> dict[str, Caption]:
    """Captions images of feature stores, or of pixels where the encoder was trained too.

    Raises:
        ConfigError: The search of one image alone would take too much memory.
    """
    first = members[0].captioner
    alone = len(members) == 1
    stepper = first.stepper if alone else JointStepper([member.captioner.stepper for member in members])
    size = images_at_once(decoding, len(first.vocabulary), first.config.evaluation.batch_size, len(members))
    captions: dict[str, Caption] = {}
    fewer = "fewer beams (decoding.beam_size)" if getattr(decoding, "beam_size", 1) > 1 else ""
    for start in track(range(0, len(ids), size), desc="captions", unit="batch"):
        some = ids[start : start + size]
        with memory_for("evaluation.batch_size", size, fewer):
            views = [member.features(some) for member in members]
            found = search(stepper, views[0] if alone else Views(views), decoding)
        captions |= zip(some, first.worded(found, views[0], decoding), strict=True)
    return captions


def shuffled(captions: dict[str, str], seed: int) -> dict[str, str]:
    """Gives every image the caption of another one, the next in a random circle."""
    ids = list(captions)
    circle = np.random.default_rng(seed).permutation(len(ids))
    return {ids[circle[i]]: captions[ids[circle[i - 1]]] for i in range(len(ids))}


def tokeniser(config: Config) -> str:
    """Returns the tokeniser that scores this config's captions."""
    return config.evaluation.tokeniser or ("char" if config.text.mode == "char" else "coco")


def _search_name(decoding: DecodingConfig) -> str:
    values = decoding.model_dump()
    return " ".join([values.pop("type"), *(f"{key}={value}" for key, value in values.items())])


def _predictions(captions: dict[str, Caption]) -> str:
    lines = [
        {"image": image_id, "caption": caption.text, "log_probability": round(caption.log_probability, 4)}
        for image_id, caption in captions.items()
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _write(done: Evaluation, config: Config, paths: dict[str, Path], references: dict[str, list[str]]) -> None:
    write_text(done.directory / "predictions.jsonl", _predictions(done.captions))
    control = {name: score.value for name, score in done.control.items()}
    write_json(
        done.directory / "scores.json",
        {
            "split": done.split,
            "images": len(done.captions),
            "decoding": config.decoding.model_dump(mode="json"),
            "scores": {name: score.as_dict() for name, score in done.scores.items()},
            "shuffled_images": control,
        },
    )
    ranking = next((done.scores[n] for n in ("cider", "bleu4", "rouge") if n in done.scores), None)
    each = ranking.per_image if ranking is not None else {}
    write_report(
        done.directory,
        title=f"{config.decoder.type} on {config.data.type}, {done.split}",
        scores=[
            {
                "name": n,
                "value": s.value,
                "interval": s.interval,
                "control": control.get(n),
                "signature": s.signature,
            }
            for n, s in done.scores.items()
        ],
        examples=[
            {
                "image_path": paths[image_id],
                "image_id": image_id,
                "references": references[image_id],
                "prediction": caption.text,
                "score": float(each.get(image_id, 0.0)),
            }
            for image_id, caption in done.captions.items()
        ],
        score_name=ranking.name if ranking is not None else "",
        most=config.evaluation.examples,
        notes=[
            f"Search: {_search_name(config.decoding)}",
            f"Encoder: {' + '.join(one.type for one in config.encoders)}",
            f"Seed: {config.seed}",
        ],
    )
