"""Training: from a config to a run directory; a resumed training gives identical results."""

from pathlib import Path
from typing import Any

import keras

from capsmith.config import AnyConfig, require_config
from capsmith.core.devices import distributed, training_devices
from capsmith.core.errors import CapsmithError, CheckpointError, ConfigError
from capsmith.core.log import get_logger, log_file
from capsmith.core.scopes import Use, difference
from capsmith.data.prepare import open_pickle, read_corpus, require_splits
from capsmith.data.records import Corpus
from capsmith.evaluation.evaluate import require_report
from capsmith.models.feature_origin import FeatureOrigin, require_same_features
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import any_run_config
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.first_steps import FirstSteps
from capsmith.training.kinds import kind_of
from capsmith.training.plan import Training, training_plan
from capsmith.training.sessions import Sessions

logger = get_logger(__name__)


def train(config: AnyConfig, run: str | Path, resume: bool = False) -> Any:
    """Trains a captioner or a joint embedding into a run directory, after any missing stage one and ensemble members.

    Args:
        config: The resolved config.
        run: The run directory; created if missing.
        resume: Continue an interrupted training. A finished one is only evaluated again.

    Returns:
        The ``Captioner`` of the best dev epoch, or the ``Embedder``.

    Raises:
        CheckpointError: The directory already holds a training and ``resume`` is false; or it holds one of another
            config; or another process is training into it.
        CapsmithError: The data or features cannot be used, or the loss is NaN or infinite.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP was received. The batch was finished and its state saved.
    """
    require_config(config, "train")
    directory = RunDirectory.named(run)
    config = kind_of(config).resolved(config)
    first_steps = FirstSteps(directory, len(config.encoders))
    _check_run(directory, config, resume)
    with directory.locked(), log_file(directory.log):
        earlier: list[RunDirectory] = []
        with first_steps.undone_on_failure(earlier):
            corpus = read_corpus(config.data, config.features)  # stage one and members inherit the data of the config
            *needed, own = training_plan(config, directory)
            if needed:
                _require_data(config, corpus)  # fails now, not after the other trainings
            for training in needed:
                earlier.append(training.run)
                _train_needed(training, corpus)
            return _train(own, corpus)


def _train_needed(training: Training, corpus: Corpus) -> None:
    """Trains a stage one or a member into its own run directory."""
    logger.info(f"{training.title} into {training.run}")
    first_steps = FirstSteps(training.run, len(training.config.encoders))
    try:
        _check_run(training.run, training.config, resume=True)
        with training.run.locked(), log_file(training.run.log), first_steps.undone_on_failure():
            _train(training, corpus)
    except CapsmithError as error:
        raise CapsmithError(f"{training.title}, overridden by {training.overrides}: {error}") from error


def _train(training: Training, corpus: Corpus) -> Any:
    """Trains one training of a plan and evaluates it."""
    config, sessions = training.config, Sessions()
    keras.utils.set_random_seed(config.seed)
    _require_data(config, corpus)
    adapt_encoders(config, corpus)
    with distributed(_devices(config)):
        return kind_of(config).train(config, training.run, corpus, sessions)


def _devices(config: AnyConfig) -> list[str]:
    """Returns the devices of a training, and logs them.

    Raises:
        ConfigError: The backend cannot distribute this training.
    """
    devices = training_devices(config.training.distribute)
    if len(devices) > 1 and keras.backend.backend() == "tensorflow":
        what = "joint embeddings" if config.kind == "embedding" else "trained encoders" if config.trains_encoder else ""
        if what:  # their loss, or their batch statistics, are not sums over parts of the batch
            raise ConfigError(f"training.distribute: {what} are distributed with KERAS_BACKEND=jax only; set none")
    if devices:
        logger.info(f"devices: {len(devices)} ({', '.join(devices)})")
    return devices


def _require_data(config: AnyConfig, corpus: Corpus) -> None:
    """Checks that every split of the training has images, and features if they come from a pickle."""
    split = config.evaluation.after_training
    splits = ("train", "dev", *([split] if split else []))
    require_splits(corpus, splits, split)
    if config.features.pickle is not None:
        open_pickle(config.features, corpus, splits, report=False)


def _check_run(run: RunDirectory, config: AnyConfig, resume: bool) -> None:
    """Checks that a config may be trained into a run directory, and creates it.

    Raises:
        CheckpointError: The config may not be trained there, or the directory cannot be created.
    """
    if run.has_state and not resume:
        raise CheckpointError(f"{run} already holds a training: add --resume to continue it, or choose another --run")
    if run.path.exists() and not run.path.is_dir():
        raise CheckpointError(f"{run} is a file, not a run directory: choose another --run")
    if (foreign := run.foreign_file()) is not None:
        raise CheckpointError(f"{run} holds a {foreign.name} that no training wrote: choose another --run")
    if (split := config.evaluation.after_training) is not None:
        require_report(run.report, split, config)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot create {run}: {error.strerror or error}; choose another --run") from error
    if run.has_state:
        origin = FeatureOrigin.of_run(run.path)
        unknown = {"encoder"} if origin is not None and origin.encoder == "none" else set()  # it may be named later
        if changed := difference(any_run_config(run.path), config, Use.RESUME, unknown):
            raise CheckpointError(f"{run} was started with another config ({changed}): choose another --run")
        require_same_features(config, run.path)
