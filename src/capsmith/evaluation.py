"""Evaluation: decode a split, score it, write the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.captioner import Caption, Captioner
from capsmith.config import Config, run_config
from capsmith.data.batches import Source
from capsmith.data.records import Corpus
from capsmith.decoding import DecodingConfig
from capsmith.metrics import Score, Scorer
from capsmith.pipeline import prepare, read_corpus, require_encoder
from capsmith.progress import track
from capsmith.report import write_report
from capsmith.runs import Log, write_json, write_text


@dataclass(frozen=True)
class Evaluation:
    """What a model said about a split and how well.

    Attributes:
        split: The split's name.
        captions: The caption of each picture.
        scores: Each metric's score.
        control: The same for captions of other pictures of the split: what a model that does not look would score.
        directory: Where predictions, scores and ``index.html`` lie.
    """

    split: str
    captions: dict[str, Caption]
    scores: dict[str, Score]
    control: dict[str, Score]
    directory: Path


def evaluate(
    run: str | Path,
    split: str = "test",
    overrides: Sequence[str] = (),
    log: Log | None = None,
) -> Evaluation:
    """Scores a run's best checkpoint on a split and writes the report.

    Args:
        run: The run directory.
        split: ``train``, ``dev`` or ``test``.
        overrides: Changes of the run's config such as ``"decoding.type=beam"``.
        log: Takes lines for people.

    Raises:
        CheckpointError: The directory is not a run, or is incomplete.
        ConfigError: An override is not valid, or would change the model.
    """
    run, log = Path(run), log or Log()
    config = run_config(run, overrides)
    require_encoder(config, run)
    captioner = Captioner.load(run, encoder=False)
    captioner.config = config
    return evaluate_captioner(captioner, run, read_corpus(captioner.config, log), split, log)


def evaluate_captioner(captioner: Captioner, run: Path, corpus: Corpus, split: str, log: Log) -> Evaluation:
    """Decodes a split with a loaded captioner, scores it, and writes the report under the run directory."""
    config = captioner.config
    prepared = prepare(config, (split,), log, corpus, captioner.encoder)
    records = prepared.split(split)
    references = {record.image_id: list(record.captions) for record in records}
    captions = caption_source(captioner, prepared.source, list(references), config.decoding)
    scorer = Scorer(references, config.evaluation.metrics, tokeniser(config))
    texts = {image_id: caption.text for image_id, caption in captions.items()}
    scores = scorer.score(texts)
    control = scorer.score(shuffled(texts, config.seed)) if len(texts) > 1 else {}
    directory = run / "report" / ("" if split == "test" else split)
    done = Evaluation(split, captions, scores, control, directory)
    _write(done, config, {record.image_id: record.path for record in records}, references)
    log(f"{split}: {len(texts):,} pictures, {_search_name(config.decoding)}")
    for name, score in scores.items():
        against = f"   shuffled pictures {control[name].value:.4f}" if name in control else ""
        log(f"  {name:8} {score.value:.4f}{against}   {score.signature}")
    log(f"report: {directory / 'index.html'}")
    return done


def caption_source(
    captioner: Captioner, source: Source, ids: Sequence[str], decoding: DecodingConfig
) -> dict[str, Caption]:
    """Captions pictures of a feature store, or of pixels where the encoder was trained too."""
    size = captioner.config.evaluation.batch_size
    rows = source.rows(ids)
    captions: dict[str, Caption] = {}
    for first in track(range(0, len(ids), size), desc="captions", unit="batch"):
        features = source.gather(rows[first : first + size])
        if captioner.config.encoder.trainable:
            features = captioner.encode(features)
        found = captioner.caption_features(features, decoding)
        captions |= zip(ids[first : first + size], found, strict=True)
    return captions


def shuffled(captions: dict[str, str], seed: int) -> dict[str, str]:
    """Gives every picture the caption of another one, the next in a random circle."""
    ids = list(captions)
    circle = np.random.default_rng(seed).permutation(len(ids))
    return {ids[circle[i]]: captions[ids[circle[i - 1]]] for i in range(len(ids))}


def tokeniser(config: Config) -> str:
    """Returns the tokeniser that scores this config's captions."""
    return config.evaluation.tokeniser or ("char" if config.text.mode == "char" else "coco")


def _search_name(decoding: DecodingConfig) -> str:
    values = decoding.model_dump()
    return " ".join([values.pop("type"), *(f"{key}={value}" for key, value in values.items())])


def _write(done: Evaluation, config: Config, paths: dict[str, Path], references: dict[str, list[str]]) -> None:
    lines = [
        {"image": image_id, "caption": caption.text, "log_probability": round(caption.log_probability, 4)}
        for image_id, caption in done.captions.items()
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text(done.directory / "predictions.jsonl", text)
    control = {name: score.value for name, score in done.control.items()}
    write_json(
        done.directory / "scores.json",
        {
            "split": done.split,
            "pictures": len(done.captions),
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
            f"Encoder: {config.encoder.type}",
            f"Seed: {config.seed}",
        ],
    )
