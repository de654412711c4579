"""Beginning a training with the weights of another run."""

from pathlib import Path

from capsmith.captioner import WEIGHTS, Captioner
from capsmith.checkpoints import load_weights
from capsmith.config import difference, run_config
from capsmith.errors import CheckpointError
from capsmith.text.vocabulary import Vocabulary

_SAME = {"text", "encoder", "decoder"}
_MAY_DIFFER = {"encoder.weights", "decoder.embedding.vectors", "decoder.dropout", "decoder.word_dropout"}


def begin_from(captioner: Captioner, run: Path) -> None:
    """Loads the weights of a run into a captioner that was just built.

    Raises:
        CheckpointError: There is no such run, or its words, encoder or decoder are others.
    """
    config = run_config(run)
    others = set(type(config).model_fields) - _SAME
    if changed := difference(config, captioner.config, others, _MAY_DIFFER):
        raise CheckpointError(f"training.start: {run} is of another model ({changed})")
    if Vocabulary.load(run / "vocabulary.json").fingerprint() != captioner.vocabulary.fingerprint():
        raise CheckpointError(f"training.start: {run} was trained with other words: its training captions were others")
    load_weights(captioner.model.bare(), run / WEIGHTS)
