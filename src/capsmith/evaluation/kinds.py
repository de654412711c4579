"""Evaluation of a model of any kind. The only place where evaluation tells captioners and joint embeddings apart."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from capsmith.core.errors import ConfigError
from capsmith.evaluation.evaluate import Evaluation, evaluate_runs
from capsmith.evaluation.retrieval.evaluate import RetrievalEvaluation, evaluate_embedding
from capsmith.models.ensemble_run import RunPaths, find_runs


def evaluate(
    run: RunPaths,
    split: str = "test",
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    average: bool = False,
) -> Evaluation | RetrievalEvaluation:
    """Scores the best checkpoint of a run, or an ensemble, on a split, and writes the report.

    Args:
        run: An export; a run directory of a captioner or a joint embedding, whose config may name an ``ensemble``; a
            saved ensemble; or several runs, which form an ensemble.
        split: ``train``, ``dev`` or ``test``.
        overrides: Changes of the config such as ``"decoding.type=beam"``.
        out: Folder of the report; by default ``report`` in the run, or ``report/ensemble`` in the first of several.
        average: Average the weights of several captioners instead of their probabilities: for stages of one training.

    Raises:
        CheckpointError: A directory is not a run, or is incomplete, or the runs cannot be combined.
        ConfigError: An override is invalid, or would change the model.
        DataError: There is no such split, or the data cannot be used.
    """
    paths = [*run] if isinstance(run, Iterable) and not isinstance(run, str | Path) else run  # it is read twice
    if find_runs(paths, overrides, average).kind == "captioner":
        return evaluate_runs(paths, split, overrides, out, average)
    if average:
        raise ConfigError("average: the weights of joint embeddings cannot be averaged: leave it out")
    return evaluate_embedding(paths, split, overrides, out)
