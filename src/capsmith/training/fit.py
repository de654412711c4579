"""Training: from a config to a run directory; a resumed training gives identical results."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import keras

from capsmith.config import Config, require_config
from capsmith.core.errors import CapsmithError, CheckpointError
from capsmith.core.files import read_json
from capsmith.core.log import get_logger, log_file
from capsmith.core.precision import faster_dtype
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.scopes import Use, difference
from capsmith.data.prepare import Prepared, open_pickle, prepare, read_corpus, require_splits
from capsmith.data.records import Corpus
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.limits import images_at_once
from capsmith.evaluation.build_index import build_caption_index
from capsmith.evaluation.evaluate import evaluate_captioner, require_report
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_weights
from capsmith.models.feature_origin import FeatureOrigin, require_same_features
from capsmith.models.judge_copy import copy_judge
from capsmith.models.keras_member import KerasMember
from capsmith.models.loading import keras_members
from capsmith.models.member import Member, StoredFeatures
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.models.training_domain import TrainingDomain
from capsmith.models.wishes import resolve
from capsmith.training.cross_entropy import CrossEntropy
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.first_steps import FirstSteps
from capsmith.training.history import History
from capsmith.training.loop import TrainingLoop
from capsmith.training.objective import Objective
from capsmith.training.plan import Training, training_plan
from capsmith.training.run_files import RunFiles
from capsmith.training.self_critical import SelfCritical
from capsmith.training.sessions import Sessions
from capsmith.training.setup import make_vocabulary, new_captioner
from capsmith.training.training_images import TrainingImages
from capsmith.training.transfer import transferred_domain, with_transferred_model
from capsmith.training.validation import Validation
from capsmith.training.warm_start import initialise

logger = get_logger(__name__)

OBJECTIVES: dict[str, Callable[[Captioner, TrainingImages], Objective]] = {
    "cross_entropy": CrossEntropy,
    "scst": SelfCritical,
}
"""Values of ``training.objective``."""


def train(config: Config, run: str | Path, resume: bool = False) -> Captioner:
    """Trains a captioner into a run directory, after any missing stage one and ensemble members.

    Args:
        config: The resolved config.
        run: The run directory; created if missing.
        resume: Continue an interrupted training. A finished one is only evaluated again.

    Returns:
        The captioner of the best dev epoch.

    Raises:
        CheckpointError: The directory already holds a training and ``resume`` is false; or it holds one of another
            config; or another process is training into it.
        CapsmithError: The data or features cannot be used, or the loss is NaN or infinite.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP was received. The batch was finished and its state saved.
    """
    require_config(config, "train")
    directory = RunDirectory.named(run)
    config = with_transferred_model(config)
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


def _train(training: Training, corpus: Corpus) -> Captioner:
    """Trains one training of a plan and evaluates it."""
    config, run, sessions = training.config, training.run, Sessions()
    keras.utils.set_random_seed(config.seed)
    _require_data(config, corpus)
    adapt_encoders(config, corpus)
    captioner, prepared, files = _set_up(config, run, corpus)
    resumed = run.has_state
    if not resumed or config.training.rehearsal is not None:  # a teacher has the weights before training
        initialise(captioner)
    loop = TrainingLoop(
        OBJECTIVES[config.training.objective](captioner, TrainingImages.of(captioner, prepared)),
        Validation(captioner, prepared),
        files,
        sessions,
    )
    from_pickle = captioner.members[0].feature_origin is not None
    if not resumed or from_pickle:  # the config may now name the encoder of a pickle's features
        files.write()
    else:
        files.write_config()
    copy_judge(config, run.path)  # fails now, not after the training
    history = loop.run(resumed)
    load_weights(captioner.model.without_optimizer(), run.weights)
    if files.precision != "float32":
        captioner = Captioner([KerasMember.load(run.path, captioner.encoder is not None)])  # computes in float32
    _finish(captioner.members[0], prepared, run, history)
    logger.info(f"trained in {sessions}: {run}")
    captioner = Captioner([replace(keras_members(captioner.members)[0], run=run)])
    _evaluate(captioner, prepared, run, corpus)
    return captioner


def _set_up(config: Config, run: RunDirectory, corpus: Corpus) -> tuple[Captioner, Prepared, RunFiles]:
    """Returns the captioner to train, its data, and the files of its run.

    Raises:
        CheckpointError: The run was trained on other captions.
        ConfigError: The search in the config would not fit into memory.
    """
    resumed = Vocabulary.load(run.vocabulary) if run.has_state else None
    vocabulary, vectors = make_vocabulary(config, corpus, resumed)
    if resumed is not None and vocabulary != resumed:
        raise CheckpointError(f"{run}: the training captions have changed since it began: choose another --run")
    wishes = resolve(config.decoding, vocabulary, config.text)  # fails now, not after training, as the next line
    images_at_once(config.decoding, len(vocabulary), 1, 1 + len(config.ensemble), wishes.banks if wishes else 1)
    prepared = prepare(corpus, config.encoders, config.features, ("train", "dev"))
    precision = _precision(config, run)
    keras.utils.set_random_seed(config.seed)  # initial weights do not depend on the random numbers drawn so far
    captioner = new_captioner(config, vocabulary, vectors, prepared, precision)
    return captioner, prepared, RunFiles(captioner, run, precision)


def _finish(member: Member, prepared: Prepared, run: RunDirectory, history: History) -> None:
    """Saves the summary of the training images, and logs the best epoch."""
    ids = [[record.image_id for record in prepared.split(split)] for split in ("train", "dev")]
    lookup, training = StoredFeatures(member, prepared.source), member.config.training
    domain = TrainingDomain.of(lookup, *ids)
    if (
        training.keep_words
        and (old := transferred_domain(training.transfer_from, member.feature_shape[-1])) is not None
    ):
        domain = old.extended(lookup, ids[0])  # the images of the old model are familiar too
    if domain is not None:
        domain.save(run.domain)
    best = history.best or 0
    epoch, score = history.rows[best]["epoch"], history.score(best)
    logger.info(f"best epoch {epoch:.0f}: dev (greedy) {history.metric} {score:.4f}")


def _evaluate(captioner: Captioner, prepared: Prepared, run: RunDirectory, corpus: Corpus) -> None:
    """Builds the caption index if the search needs it, and writes the report if the config requests one."""
    config = captioner.config
    if config.decoding.requires_caption_index:
        build_caption_index(captioner.members[0], prepared).save(run.path)
    copy_judge(config, run.path)
    if config.evaluation.after_training is None:
        return
    others = [member.run for member in config.ensemble]
    ensemble = Captioner([*captioner.members, *(KerasMember.load(other, encoder=False) for other in others)])
    evaluate_captioner(ensemble, run.report, corpus, config.evaluation.after_training, [run.path, *others])


def _require_data(config: Config, corpus: Corpus) -> None:
    """Checks that every split of the training has images, and features if they come from a pickle."""
    split = config.evaluation.after_training
    splits = ("train", "dev", *([split] if split else []))
    require_splits(corpus, splits, split)
    if config.features.pickle is not None:
        open_pickle(config.features, corpus, splits, report=False)


def _check_run(run: RunDirectory, config: Config, resume: bool) -> None:
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
        if changed := difference(run_config(run.path), config, Use.RESUME, unknown):
            raise CheckpointError(f"{run} was started with another config ({changed}): choose another --run")
        require_same_features(config, run.path)


def _precision(config: Config, run: RunDirectory) -> str:
    """Returns the compute precision: the config's, or for ``auto`` that of the resumed run, or the faster one.

    ``auto`` is float32 if the encoder is trained: its gradients pass through the complete decoder, and lose quality in
    bfloat16.
    """
    if config.training.precision != "auto":
        return config.training.precision
    if not run.has_state:
        return "float32" if config.trains_encoder else faster_dtype()
    advice = "delete it to continue in float32"
    versions = read_json(run.versions, CheckpointError)
    return _Versions.check(versions, run.versions, CheckpointError, advice).precision


class _Versions(FileSchema):
    precision: Literal["float32", "bfloat16"] = "float32"
