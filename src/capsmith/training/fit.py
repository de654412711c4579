"""Training: from a config to a run directory, resumable to the same numbers."""

import os
from pathlib import Path
from typing import Literal

import keras

from capsmith.config import Config, require_config, save_config
from capsmith.core.errors import CapsmithError, CheckpointError
from capsmith.core.files import RUN_FILES, path_argument, read_json, write_json
from capsmith.core.locks import FILE as LOCK
from capsmith.core.locks import locked
from capsmith.core.log import get_logger, log_file
from capsmith.core.plugin_requirements import write_requirements
from capsmith.core.precision import faster_dtype
from capsmith.core.readers.json_files import FileSchema
from capsmith.core.scopes import Use, difference
from capsmith.core.versions import installed_versions
from capsmith.data.prepare import open_pickle, prepare, read_corpus, require_splits
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.limits import images_at_once
from capsmith.decoding.rerank.mbr import ConsensusConfig
from capsmith.evaluation.build_index import build_caption_index
from capsmith.evaluation.evaluate import evaluate_captioner, require_report
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_weights
from capsmith.models.given_features import GivenFeatures, require_same_features
from capsmith.models.member import Member, StoredFeatures
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.models.training_domain import TrainingDomain
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.first_steps import FirstSteps
from capsmith.training.loop import STATE, Epochs
from capsmith.training.sessions import Sessions
from capsmith.training.setup import make_vocabulary, new_captioner
from capsmith.training.warm_start import first_stage, load_initial_weights, missing_members, transfer_weights

logger = get_logger(__name__)


def train(config: Config, run: str | Path, resume: bool = False) -> Captioner:
    """Trains a captioner and leaves everything in a run directory.

    Args:
        config: The resolved config.
        run: The run directory; made when missing.
        resume: Go on with a training that was interrupted; nothing happens when it had finished.

    Returns:
        The captioner of the best dev epoch.

    Raises:
        CheckpointError: The directory already holds a training, and ``resume`` is false, or it is of another config,
            or another process trains into it.
        CapsmithError: The data or features cannot be used, or the loss is no longer a number.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came; the batch was finished, and its state saved.
    """
    require_config(config, "train")
    run = path_argument(run, "run")
    first = FirstSteps(run, len(config.encoders))
    _check_run(run, config, resume)
    busy = f"another process is training into {run}: wait for it, or choose another --run"
    stage = (
        config.training.resume_weights_from / STATE
        if config.training.stage_one and config.training.resume_weights_from
        else None
    )
    with locked(run, busy, CheckpointError), first.undone_on_failure(stage):
        with log_file(run / "log.txt"):
            return _train(config, run)


def _train(config: Config, run: Path) -> Captioner:
    begun = (run / STATE).exists()
    if not begun and (before := first_stage(config)):
        logger.info(f"first {config.training.stage_one and config.training.stage_one.config} into {before[1]}")
        try:
            train(*before, resume=True)
        except CapsmithError as error:
            error.args = (f"the first stage, whose settings training.stage_one.set changes: {error}",)
            raise
    sessions = Sessions()
    keras.utils.set_random_seed(config.seed)
    corpus = read_corpus(config.data, config.features)
    after = [config.evaluation.after_training] if config.evaluation.after_training else []
    require_splits(corpus, ("train", "dev", *after), config.evaluation.after_training)  # not after hours of training
    if config.features.pickle is not None:
        open_pickle(config.features, corpus, ("train", "dev", *after), report=False)
    missing_members(config)  # nor that a member's files are damaged
    adapt_encoders(config, corpus)
    known = Vocabulary.load(run / "vocabulary.json") if begun else None
    vocabulary, vectors = make_vocabulary(config, corpus, known)
    if begun and vocabulary != known:
        raise CheckpointError(f"{run}: the training captions are no longer those it began with: choose another --run")
    images_at_once(config.decoding, len(vocabulary), 1, 1 + len(config.ensemble))  # or raises: not after training
    prepared = prepare(corpus, config.encoders, config.features, ("train", "dev"))
    precision = _precision(config, run if begun else None)
    write_json(
        run / "versions.json", {**installed_versions(), "backend": keras.backend.backend(), "precision": precision}
    )
    save_config(config, run / "config.yaml")
    write_requirements(config.components(), RunDirectory(run).plugins)
    keras.utils.set_random_seed(config.seed)  # whatever was drawn until here, the weights are the same
    captioner = new_captioner(config, vocabulary, vectors, prepared, precision)
    if begun and captioner.members[0].feature_origin is not None:
        captioner.save_parts(run)  # its encoder may have been named since
    if config.training.resume_weights_from is not None and not begun:
        load_initial_weights(captioner, config.training.resume_weights_from)
        logger.info(f"begins with the weights of {config.training.resume_weights_from}")
    if config.training.transfer_from is not None and not begun:
        shared = transfer_weights(captioner, config.training.transfer_from)
        logger.info(f"begins with what {config.training.transfer_from} knows: {shared:,} of {len(vocabulary):,} words")
    history = Epochs(captioner, prepared, run, sessions).run(begun)
    load_weights(captioner.model.without_optimizer(), RunDirectory(run).weights)
    if precision != "float32":
        captioner = Captioner([Member.load(run, captioner.encoder is not None)])  # computes in float32
    ids = [[record.image_id for record in prepared.split(name)] for name in ("train", "dev")]
    (member,) = captioner.members
    domain = TrainingDomain.of(StoredFeatures(member, prepared.source), *ids)
    if domain is not None:
        domain.save(RunDirectory(run).domain)
    best = history.rows[history.best or 0]
    logger.info(f"best epoch {best['epoch']:.0f}: dev (greedy) {history.metric} {history.score(history.best or 0):.4f}")
    logger.info(f"trained in {sessions}: {run}")
    if isinstance(config.decoding, ConsensusConfig):
        build_caption_index(member, prepared).save(run)
    for other, folder in missing_members(config):
        logger.info(f"training another member of the ensemble into {folder}")
        train(other, folder, resume=True)
    captioner = Captioner([member.saved_in(run)])
    if config.evaluation.after_training is not None:
        runs = [run, *(Path(one.run) for one in config.ensemble)]
        ensemble = Captioner([*captioner.members, *(Member.load(folder, encoder=False) for folder in runs[1:])])
        evaluate_captioner(ensemble, run / "report", corpus, config.evaluation.after_training, runs)
    return captioner


def _check_run(run: Path, config: Config, resume: bool) -> None:
    begun = (run / STATE).exists()
    if begun and not resume:
        raise CheckpointError(f"{run} already holds a training: add --resume to go on with it, or choose another --run")
    if run.exists() and not run.is_dir():
        raise CheckpointError(f"{run} is a file, not a run directory: choose another --run")
    _require_ours(run, config)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make {run}: {error.strerror or error}; choose another --run") from error
    if begun:
        given = GivenFeatures.of_run(run)
        unknown = {"encoder"} if given is not None and given.encoder == "none" else set()  # it may be named later
        if changed := difference(run_config(run), config, Use.RESUME, unknown):
            raise CheckpointError(f"{run} was begun with another config ({changed}): choose another --run")
        require_same_features(config, run)


def _require_ours(run: Path, config: Config) -> None:
    """Raises an error when a training would write over files that none has written."""
    if not (run / "versions.json").exists():
        names = ("config.yaml",) if (run / LOCK).exists() else RUN_FILES
        if foreign := next((name for name in names if os.path.lexists(run / name)), None):
            raise CheckpointError(f"{run} holds a {foreign} that no training wrote: choose another --run")
    if (split := config.evaluation.after_training) is not None:
        require_report(run / "report", split, config)


def _precision(config: Config, begun: Path | None) -> str:
    """Returns what to calculate in: as the config says, and a run that has begun goes on as it began.

    An encoder that learns too loses by bfloat16 (its gradients pass through all of the decoder), so there ``auto``
    is float32.
    """
    if config.training.precision != "auto":
        return config.training.precision
    if begun is None:
        return "float32" if config.trains_encoder else faster_dtype()
    path = begun / "versions.json"
    advice = "delete it to go on in float32"
    return _Versions.check(read_json(path, CheckpointError), path, CheckpointError, advice).precision


class _Versions(FileSchema):
    precision: Literal["float32", "bfloat16"] = "float32"
