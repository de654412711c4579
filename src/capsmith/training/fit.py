"""Training: from a config to a run directory, resumable to the same numbers."""

import time
from pathlib import Path

import keras

from capsmith.adapting import adapt_encoders
from capsmith.captioner import Captioner
from capsmith.checkpoints import load_weights
from capsmith.config import Config, difference, require_config, run_config, save_config
from capsmith.consensus import ConsensusConfig
from capsmith.ensembles import require_same_words
from capsmith.errors import CapsmithError, CheckpointError
from capsmith.evaluation import evaluate_captioners, remember
from capsmith.locks import locked
from capsmith.pipeline import prepare, read_corpus, require_encoder, require_splits
from capsmith.precision import for_products
from capsmith.runs import Log, read_json, versions, write_json
from capsmith.search_limits import images_at_once
from capsmith.text.vocabulary import Vocabulary
from capsmith.training.epochs import STATE, Epochs
from capsmith.training.preparing import make_vocabulary, new_captioner
from capsmith.training.starting import begin_from, first_stage, grow_from, missing_members

_OPEN = {
    "features",
    "decoding",
    "evaluation",
    "ensemble",
}  # may change when a training is resumed: its numbers stay the same
_PLACES = {
    "data.root",
    "data.max_problems",
    "encoder.weights",
    "encoder.adapt.into",
    "decoder.embedding.vectors",
    "training.start",
    "training.checkpoint_every",
}


def train(config: Config, run: str | Path, resume: bool = False, log: Log | None = None) -> Captioner:
    """Trains a captioner and leaves everything in a run directory.

    Args:
        config: The resolved config.
        run: The run directory; made when missing.
        resume: Go on with a training that was interrupted; nothing happens when it had finished.
        log: Takes lines for people; by default standard error and the run's ``log.txt``.

    Returns:
        The captioner of the best dev epoch.

    Raises:
        CheckpointError: The directory already holds a training, and ``resume`` is false, or it is of another config,
            or another process trains into it.
        CapsmithError: The data or features cannot be used, or the loss is no longer a number.
        KeyboardInterrupt: SIGINT or SIGTERM came; the batch was finished, and its state saved.
    """
    require_config(config, "train")
    run = Path(run)
    _check_run(run, config, resume)
    busy = f"another process is training into {run}: wait for it, or choose another --run"
    with locked(run, busy, CheckpointError):
        return _train(config, run, log or Log(run / "log.txt"))


def _train(config: Config, run: Path, log: Log) -> Captioner:
    begun = (run / STATE).exists()
    if not begun and (before := first_stage(config)):
        log(f"first {config.training.start_config} into {before[1]}")
        try:
            train(*before, resume=True, log=log)
        except CapsmithError as error:
            error.args = (f"the first stage, whose settings training.start_set changes: {error}",)
            raise
    started = time.perf_counter()
    keras.utils.set_random_seed(config.seed)
    corpus = read_corpus(config, log)
    after = [config.evaluation.after_training] if config.evaluation.after_training else []
    require_splits(config, corpus, ("train", "dev", *after))  # not after hours of training
    adapt_encoders(config, corpus, log)
    known = Vocabulary.load(run / "vocabulary.json") if begun else None
    vocabulary, vectors = make_vocabulary(config, corpus, log, known)
    if begun and vocabulary != known:
        raise CheckpointError(f"{run}: the training captions are no longer those it began with: choose another --run")
    images_at_once(config.decoding, len(vocabulary), 1, 1 + len(config.ensemble))  # or raises: not after training
    prepared = prepare(config, ("train", "dev"), log, corpus)
    precision = _precision(config, run if begun else None)
    write_json(run / "versions.json", {**versions(), "backend": keras.backend.backend(), "precision": precision})
    save_config(config, run / "config.yaml")
    keras.utils.set_random_seed(config.seed)  # whatever was drawn until here, the weights are the same
    captioner = new_captioner(config, vocabulary, vectors, prepared, precision)
    if config.training.start is not None and not begun:
        begin_from(captioner, config.training.start)
        log(f"begins with the weights of {config.training.start}")
    if config.training.init is not None and not begun:
        shared = grow_from(captioner, config.training.init)
        log(f"begins with what {config.training.init} knows: {shared:,} of {len(vocabulary):,} words")
    history = Epochs(captioner, prepared, run, log).run(begun)
    load_weights(captioner.model.bare(), run / "model.weights.h5")
    if precision != "float32":
        captioner = Captioner.load(run)  # which calculates in float32, as it will for everyone
    best = history.rows[history.best or 0]
    minutes = (time.perf_counter() - started) / 60
    log(f"best epoch {best['epoch']:.0f}: dev {history.metric} {history.score(history.best or 0):.4f}")
    log(f"trained in {minutes:.1f} minutes: {run}")
    if isinstance(config.decoding, ConsensusConfig):
        remember(captioner, prepared, log).save(run)
    for member, folder in missing_members(config):
        log(f"training another member of the ensemble into {folder}")
        train(member, folder, resume=True, log=log)
    if config.evaluation.after_training is not None:
        runs = [run, *(Path(one.run) for one in config.ensemble)]
        members = [captioner, *(Captioner.load(one, encoder=False) for one in runs[1:])]
        require_same_words(members, runs)
        evaluate_captioners(members, run / "report", corpus, config.evaluation.after_training, log, runs)
    return captioner


def _check_run(run: Path, config: Config, resume: bool) -> None:
    begun = (run / STATE).exists()
    if begun and not resume:
        raise CheckpointError(f"{run} already holds a training: add --resume to go on with it, or choose another --run")
    if run.exists() and not run.is_dir():
        raise CheckpointError(f"{run} is a file, not a run directory: choose another --run")
    if (run / "config.yaml").exists() and not (run / "versions.json").exists():
        raise CheckpointError(f"{run} holds a config.yaml that no training wrote: choose another --run")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make {run}: {error.strerror or error}; choose another --run") from error
    if begun:
        if changed := difference(run_config(run), config, _OPEN, _PLACES):
            raise CheckpointError(f"{run} was begun with another config ({changed}): choose another --run")
        require_encoder(config, run)


def _precision(config: Config, begun: Path | None) -> str:
    """Returns what to calculate in: as the config says, and a run that has begun goes on as it began.

    An encoder that learns too loses by bfloat16 (its gradients pass through all of the decoder), so there ``auto``
    is float32.
    """
    if config.training.precision != "auto":
        return config.training.precision
    if begun is None:
        return "float32" if config.trains_encoder else for_products()
    found = read_json(begun / "versions.json", CheckpointError)
    return str(found.get("precision", "float32")) if isinstance(found, dict) else "float32"
