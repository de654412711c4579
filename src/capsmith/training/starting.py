"""Beginning a training with the weights of another run."""

from pathlib import Path

from capsmith.captioner import WEIGHTS, Captioner
from capsmith.checkpoints import load_weights
from capsmith.config import Config, load_config, model_difference, run_config
from capsmith.errors import CheckpointError
from capsmith.metrics.scorer import expand
from capsmith.text.vocabulary import Vocabulary
from capsmith.training.history import History, read_csv

_CARRIED = ("seed", "data", "text", "features", "encoder")


def begin_from(captioner: Captioner, run: Path) -> None:
    """Loads the weights of a run into a captioner that was just built.

    Raises:
        CheckpointError: There is no such run, or its words, encoder or decoder are others.
    """
    config = run_config(run)
    if changed := model_difference(config, captioner.config):
        raise CheckpointError(f"training.start: {run} is of another model ({changed})")
    if Vocabulary.load(run / "vocabulary.json").fingerprint() != captioner.vocabulary.fingerprint():
        raise CheckpointError(f"training.start: {run} was trained with other words: its training captions were others")
    load_weights(captioner.model.bare(), run / WEIGHTS)


def first_stage(config: Config) -> tuple[Config, Path] | None:
    """Returns the training that has to come before this one, and its run; None when there is none, or it is over."""
    start, name = config.training.start, config.training.start_config
    if start is None or name is None:
        return None
    stage = load_config(name).model_copy(update={section: getattr(config, section) for section in _CARRIED})
    history = start / "history.csv"
    if history.exists() and (start / WEIGHTS).exists():
        rows = read_csv(history)
        metric = expand([stage.training.metric])[-1]
        if rows and f"dev_{metric}" in rows[-1] and History(metric, rows).finished(stage.training):
            return None
    return stage, start
