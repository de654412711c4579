"""Beginning a training with the weights of another run."""

from pathlib import Path

import keras
import numpy as np

from capsmith.config import Config, load_config
from capsmith.core.errors import CheckpointError, PluginError
from capsmith.core.scopes import Use, difference, inherit
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.metrics.scorer import expand
from capsmith.models.caption_model import CaptionModel, build_model
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_weights
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.training.config import MemberConfig
from capsmith.training.history import History, read_csv
from capsmith.vision.weights import load_weights_file


def load_initial_weights(captioner: Captioner, run: Path) -> None:
    """Loads the weights of a run into a captioner that was just built.

    Raises:
        CheckpointError: There is no such run, or its words, encoder or decoder are others.
    """
    config = run_config(run)
    if changed := difference(config, captioner.config, Use.LOAD_WEIGHTS):
        raise CheckpointError(f"training.resume_weights_from: {run} is of another model ({changed})")
    if config.trains_encoder and not captioner.config.trains_encoder:
        raise CheckpointError(f"training.resume_weights_from: {run} trained its encoder: this one has to, too")
    if Vocabulary.load(RunDirectory(run).vocabulary).sha256() != captioner.vocabulary.sha256():
        raise CheckpointError(
            f"training.resume_weights_from: {run} has another vocabulary (its captions or text settings differ); "
            "training.transfer_from takes a run with another vocabulary"
        )
    model, encoder = captioner.model, run / "encoder.weights.h5"
    whole = config.trains_encoder or model.encoder is None
    load_weights(
        model.without_optimizer() if whole else CaptionModel(model.decoder).without_optimizer(),
        RunDirectory(run).weights,
    )
    if not whole and captioner.encoder is not None and encoder.exists():  # it learns from what the run had of it
        load_weights_file(captioner.encoder.parts[0].core, encoder)


def transfer_weights(captioner: Captioner, run: Path) -> int:
    """Gives a captioner that was just built what a run of other data knows.

    What belongs to a word goes to the same word; the words that the run lacks stay as they were drawn, or read from a
    file of vectors. All else is loaded as it is.

    Returns:
        How many of the captioner's words the run knows.

    Raises:
        CheckpointError: There is no such run, or its encoder, decoder or way of splitting captions is another.
    """
    known = run_config(run)
    if changed := difference(known, captioner.config, Use.TRANSFER):
        raise CheckpointError(f"training.transfer_from: {run} is of another model ({changed})")
    if not hasattr(captioner.model.decoder, "by_word"):
        raise PluginError(
            f"decoder '{known.decoder.type}' has no by_word, which training.transfer_from needs: see decoders.base"
        )
    words = Vocabulary.load(RunDirectory(run).vocabulary)
    before = build_model(known, words, captioner.feature_shape, captioner.encoder)
    load_weights(before, RunDirectory(run).weights)
    place = {word: row for row, word in enumerate(words.words)}
    shared = [(row, place[word]) for row, word in enumerate(captioner.vocabulary.words) if word in place]
    ours, theirs = (np.array(rows) for rows in zip(*shared, strict=True))
    by_word = {id(weight): axis for weight, axis in captioner.model.decoder.by_word}
    for weight, given in zip(captioner.model.weights, before.weights, strict=True):
        value = keras.ops.convert_to_numpy(given)
        if (axis := by_word.get(id(weight))) is not None:
            grown = np.array(keras.ops.convert_to_numpy(weight))
            np.moveaxis(grown, axis, 0)[ours] = np.moveaxis(value, axis, 0)[theirs]
            value = grown
        if weight.shape != value.shape:
            raise CheckpointError(
                f"training.transfer_from: {run} has another {weight.path}: {value.shape}, now {weight.shape}"
            )
        weight.assign(value)
    return len(shared)


def first_stage(config: Config) -> tuple[Config, Path] | None:
    """Returns the training that has to come before this one, and its run; None when there is none, or it is over."""
    start, stage_one = config.training.resume_weights_from, config.training.stage_one
    if start is None or stage_one is None:
        return None
    stage = inherit(load_config(stage_one.config, stage_one.set), config, Use.STAGE)
    return None if _over(stage, start) else (stage, start)


def missing_members(config: Config) -> list[tuple[Config, Path]]:
    """Returns the trainings that an ensemble still lacks, and their runs.

    They carry this config's data, text, features and encoder, as first stages do, but have seeds of their own.
    """
    found = [(_member(one, config), one.run) for one in config.ensemble]
    return [(member, run) for member, run in found if not _over(member, run)]


def _member(one: MemberConfig, config: Config) -> Config:
    own = inherit(load_config(one.config, one.set), config, Use.MEMBER)
    evaluation = own.evaluation.model_copy(update={"after_training": None})  # the ensemble is scored, not its members
    encoders = config.encoders if one.encoders is None else tuple(config.encoders[number] for number in one.encoders)
    encoder = config.encoder if one.encoders is None else encoders if len(encoders) > 1 else encoders[0]
    return own.model_copy(update={"evaluation": evaluation, "encoder": encoder})


def _over(config: Config, run: Path) -> bool:
    """Returns whether a run holds a training that came to its end."""
    history = RunDirectory(run).history
    if not history.exists() or not (RunDirectory(run).weights).exists():
        return False
    rows = read_csv(history)
    metric = expand([config.training.metric])[-1]
    measured = bool(rows) and all(f"dev_{metric}" in row for row in rows)
    return measured and History(metric, rows).finished(config.training)
