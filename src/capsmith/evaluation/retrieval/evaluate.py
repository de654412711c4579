"""Evaluation of a joint embedding: images find captions and captions find images among those of a split."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.core.errors import DataError
from capsmith.core.files import path_argument, write_json
from capsmith.core.log import get_logger
from capsmith.core.outputs import PAGE, SCORES
from capsmith.core.spelling import nearest
from capsmith.data.prepare import prepare, read_corpus
from capsmith.data.records import SPLITS, Corpus, Record
from capsmith.evaluation import readings
from capsmith.evaluation.evaluate import require_report
from capsmith.evaluation.retrieval.page import Found, write_retrieval_page
from capsmith.metrics.retrieval import Ranks, retrieval_scores
from capsmith.metrics.scores import Score
from capsmith.models.embedders import run_embedder
from capsmith.models.embedding.embedder import RunEmbedder
from capsmith.models.feature_origin import require_encoder

logger = get_logger(__name__)
_AT_ONCE = 256  # images


@dataclass(frozen=True)
class RetrievalEvaluation:
    """Retrieval among the images and captions of a split.

    Attributes:
        split: Name of the split.
        ranks: The rank of the best right item of each image and of each caption.
        scores: Recall at 1, 5 and 10, median and mean rank, of captions for an image (``i2t``) and of images for a
            caption (``t2i``), and the mean recall.
        control: The same for images that stand for other images of the split: those of a model that ignores them.
        directory: Folder of the scores and the report.
        captions: The captions of each image.
    """

    split: str
    ranks: Ranks
    scores: dict[str, Score]
    control: dict[str, Score]
    directory: Path
    captions: dict[str, tuple[str, ...]]

    @property
    def page(self) -> Path:
        """The report page."""
        return self.directory / PAGE


def evaluate_embedding(
    runs: str | Path | Iterable[str | Path],
    split: str = "test",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
) -> RetrievalEvaluation:
    """Measures retrieval by a joint embedding on a split, and writes the report.

    Args:
        runs: A run, whose config may name an ``ensemble``, or several.
        split: ``train``, ``dev`` or ``test``.
        overrides: Changes of the config such as ``"evaluation.examples=0"``.
        out: Folder of the report; by default ``report`` in the run, or ``report/ensemble`` in the first of several.

    Raises:
        CheckpointError: A directory is not the run of a joint embedding, or is damaged, or the runs cannot be combined.
        ConfigError: An override is invalid, or would change the model.
        DataError: There is no such split, or the data cannot be used.
    """
    if split not in SPLITS:
        raise DataError(f"split: {split!r:.80} is not one of {', '.join(SPLITS)}{nearest(split, SPLITS)}")
    paths = [runs] if isinstance(runs, str | Path) else list(runs)
    embedder = run_embedder(paths, overrides)
    first = embedder.members[0].run
    folder = path_argument(out, "out") if out is not None else first.report / ("ensemble" if len(paths) > 1 else "")
    require_report(folder, split, embedder.config)
    for member in embedder.members:
        require_encoder(member.config, member.run.path)
    return evaluate_embedder(embedder, folder, read_corpus(embedder.config.data, embedder.config.features), split)


def evaluate_embedder(embedder: RunEmbedder, out: Path, corpus: Corpus, split: str) -> RetrievalEvaluation:
    """Measures retrieval by a loaded embedder on a split, and writes the report.

    A reading of ``test`` is recorded in ``test_readings.jsonl`` of the runs before any of its scores are shown.

    Args:
        embedder: The model.
        out: Folder of the report of ``test``; other splits go into folders inside.
        corpus: The dataset.
        split: The split.
    """
    config, runs = embedder.config, [member.run.path for member in embedder.members]
    evaluated = readings.sources(runs)
    images, texts, owner, records = split_vectors(embedder, corpus, split)
    ids = [record.image_id for record in records]
    ranks = Ranks.of(images, texts, owner)
    scores = retrieval_scores(ranks, ids)
    several = len(ids) > 1
    control = retrieval_scores(Ranks.of(_shuffled(images, config.seed), texts, owner), ids) if several else {}
    directory = out / ("" if split == "test" else split)
    captions = {record.image_id: record.captions for record in records}
    result = RetrievalEvaluation(split, ranks, scores, control, directory, captions)
    notes: list[str] = []
    if split == "test":
        entry = readings.reading(
            scores,
            runs=evaluated,
            averaged=False,
            decoding={"type": "retrieval"},
            dataset=config.data.type,
            images=len(ids),
            predictions=json.dumps([ranks.image_to_text.tolist(), ranks.text_to_image.tolist()]),
            report=directory,
        )
        notes = readings.record(entry, runs, directory)
    _write_scores(result)
    found = Found(records, ranks, images @ texts.T, config.evaluation.shown)
    write_retrieval_page(directory, config, split, found, scores, control)
    _log(result, notes)
    return result


def split_vectors(
    embedder: RunEmbedder, corpus: Corpus, split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[Record]]:
    """Returns the vectors of the images of a split and of their captions, the image of each caption, and the images."""
    config = embedder.config
    prepared = prepare(corpus, config.encoders, config.features, (split,))
    records = prepared.split(split)
    rows = prepared.source.rows([record.image_id for record in records])
    starts = range(0, len(rows), _AT_ONCE)
    gather = prepared.source.gather
    images = np.concatenate([embedder.embed_features(gather(rows[n : n + _AT_ONCE])) for n in starts])
    texts = embedder.embed_texts([caption for record in records for caption in record.captions])
    owner = np.repeat(np.arange(len(records)), [len(record.captions) for record in records])
    return images, texts, owner, records


def _shuffled(images: np.ndarray, seed: int) -> np.ndarray:
    """Gives every image the vector of another one: the next in a random cycle."""
    cycle = np.random.default_rng(seed).permutation(len(images))
    shuffled = np.empty_like(images)
    shuffled[cycle] = images[np.roll(cycle, 1)]
    return shuffled


def _write_scores(result: RetrievalEvaluation) -> None:
    write_json(
        result.directory / SCORES,
        {
            "split": result.split,
            "images": len(result.captions),
            "captions": len(result.ranks.owner),
            "scores": {name: score.as_dict() for name, score in result.scores.items()},
            "shuffled_images": {name: score.value for name, score in result.control.items()},
        },
    )


def _log(result: RetrievalEvaluation, notes: Sequence[str]) -> None:
    logger.info(f"{result.split}: {len(result.captions):,} images and {len(result.ranks.owner):,} captions")
    for name, score in result.scores.items():
        against = f"   shuffled images {result.control[name].value:.4f}" if name in result.control else ""
        logger.info(f"  {result.split} {name:10} {score.value:.4f}{against}   {score.signature}")
    for line in (*notes, f"report: {result.page}"):
        logger.info(line)
