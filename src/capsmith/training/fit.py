"""Training: from a config to a run directory, resumable to the same numbers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from capsmith.adapting import adapt_encoders
from capsmith.ahead import ahead
from capsmith.captioner import Captioner
from capsmith.checkpoints import load_state, load_weights, save_state
from capsmith.compiled import learner
from capsmith.config import Config, difference, run_config, save_config
from capsmith.consensus import ConsensusConfig
from capsmith.data.batches import Batches
from capsmith.data.sources import AugmentedSource, Source, VariedSource, ViewedSource, mirror_words
from capsmith.decoding import GreedyConfig
from capsmith.ensembles import Member, require_same_words
from capsmith.errors import CapsmithError, CheckpointError
from capsmith.evaluation import caption_source, evaluate_captioners, remember, tokeniser
from capsmith.metrics.diversity import diversity
from capsmith.metrics.scorer import Scorer, expand
from capsmith.pipeline import Prepared, prepare, read_corpus, require_encoder, require_splits, training_views
from capsmith.plots import plot_history
from capsmith.precision import for_products
from capsmith.progress import bar
from capsmith.runs import Log, read_json, versions, write_json
from capsmith.text.vocabulary import PAD, Vocabulary
from capsmith.training.config import TrainingConfig
from capsmith.training.history import History
from capsmith.training.optimizers import build_optimizer
from capsmith.training.preparing import examples, make_vocabulary, new_captioner
from capsmith.training.schedules import learning_rate
from capsmith.training.self_critical import SampledBatches
from capsmith.training.starting import begin_from, first_stage, grow_from, missing_members

STATE = "state.npz"
_SLOW_METRICS = {"meteor", "spice"}  # a Java start each: not in every epoch
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
        CheckpointError: The directory already holds a training, and ``resume`` is false, or it is of another config.
        CapsmithError: The data or features cannot be used, or the loss is no longer a number.
    """
    run = Path(run)
    begun = (run / STATE).exists()
    _check_run(run, config, resume, begun)
    log = log or Log(run / "log.txt")
    if not begun and (before := first_stage(config)):
        log(f"first {config.training.start_config} into {before[1]}")
        train(*before, resume=True, log=log)
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
    prepared = prepare(config, ("train", "dev"), log, corpus)
    precision = _precision(config.training, run if begun else None)
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
    history = _Fit(captioner, prepared, run, log).run(begun)
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
        members = [captioner, *(Captioner.load(one.run, encoder=False) for one in config.ensemble)]
        require_same_words(members, [run, *(one.run for one in config.ensemble)])
        evaluate_captioners(members, run / "report", corpus, config.evaluation.after_training, log)
    return captioner


def _check_run(run: Path, config: Config, resume: bool, begun: bool) -> None:
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


def _precision(config: TrainingConfig, begun: Path | None) -> str:
    """Returns what to calculate in: as the config says, and a run that has begun goes on as it began."""
    if config.precision != "auto":
        return config.precision
    if begun is None:
        return for_products()
    found = read_json(begun / "versions.json", CheckpointError)
    return str(found.get("precision", "float32")) if isinstance(found, dict) else "float32"


class _Fit:
    """The epochs of one training."""

    def __init__(self, captioner: Captioner, prepared: Prepared, run: Path, log: Log) -> None:
        self.captioner, self.prepared, self.directory, self.log = captioner, prepared, run, log
        self.config, self.model = captioner.config.training, captioner.model
        records = prepared.split("train")
        ids = [record.image_id for record in records]
        views = training_views(captioner.config, prepared, log)
        source: Source | VariedSource = ViewedSource([prepared.source, *views], ids) if views else prepared.source
        if self.config.augment is not None:
            source = AugmentedSource(prepared.source, ids, self.config.augment)
        mirror = mirror_words(captioner.vocabulary.words, self.config.mirror_words)
        self.batches: Batches | SampledBatches
        if self.config.objective == "scst":
            self.batches = SampledBatches(captioner, source, records, mirror)
        else:
            encoded = examples(records, captioner.vocabulary, captioner.config, source.rows(ids))
            together = prepared.encoder is not None or len(prepared.feature_shape) > 1
            seed = captioner.config.seed
            self.batches = Batches(source, encoded, self.config.batch_size, seed, together, mirror)
        if self.config.scheduled_sampling:
            self.model.sample_inputs()
        dev = prepared.split("dev")
        self.dev_ids = [record.image_id for record in dev]
        metrics = [m for m in captioner.config.evaluation.metrics if m not in _SLOW_METRICS]
        deciding = expand([self.config.metric])[-1]
        self.scorer = Scorer(
            {record.image_id: record.captions for record in dev},
            dict.fromkeys([*metrics, deciding]),
            tokeniser(captioner.config),
        )
        self.history = History(deciding)
        # XLA is what makes JAX fast; TensorFlow would compile anew for each shape, and torch for each call
        self.model.compile(self._optimizer(), jit_compile=keras.backend.backend() == "jax")
        self.model.optimizer.build(self.model.trainable_variables)
        self.learn = learner(self.model)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        encoder = self.model.encoder
        slow = encoder.trainable_variables if encoder is not None else ()
        return build_optimizer(self.config, slow, self.captioner.config.encoders[0].share)

    def run(self, resume: bool) -> History:
        """Trains until done; returns the history."""
        if resume:
            state = self.directory / STATE
            self.history = History.from_json(load_state(state, self.model), str(state))
            self._show_history()  # it may have been killed between the state and these
            self.log(f"resuming after epoch {self.history.epochs}")
        else:
            self.captioner.save_parts(self.directory)
            self._describe()
        try:
            while not self.history.finished(self.config):
                self._epoch()
        except KeyboardInterrupt:
            self.log(f"interrupted after epoch {self.history.epochs}; go on with --resume --run {self.directory}")
            raise
        return self.history

    def _describe(self) -> None:
        count = sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)
        self.log(
            f"model: {self.captioner.config.decoder.type}, {count:,} trained parameters; {len(self.batches)} batches "
            f"of {self.batches.batch_size} captions an epoch"
            + (f", {self.batches.padding:.0%} padding" if isinstance(self.batches, Batches) else ", all sampled")
        )

    def _epoch(self) -> None:
        epoch = self.history.epochs
        started = time.perf_counter()
        loss, rate = self._pass(epoch)
        with self._averaged():
            captions = self._dev_captions()
            scores = self.scorer.score(captions)
            row = {"epoch": epoch + 1, "loss": loss, "learning_rate": rate}
            if isinstance(self.batches, SampledBatches):
                row["reward"] = float(np.mean(self.batches.rewards))
                row["baseline"] = float(np.mean(self.batches.baselines))
                row["dev_broken"] = diversity([caption.split() for caption in captions.values()]).broken
            row |= {f"dev_{name}": score.value for name, score in scores.items()}
            row["seconds"] = round(time.perf_counter() - started, 2)
            best = self.history.add(row, self.config)
            if best:
                self.captioner.save_weights(self.directory)
        save_state(self.directory / STATE, self.model, self.history.to_json())
        self._show_history()
        shown = " ".join(f"{name} {score.value:.4f}" for name, score in scores.items())
        learned = f"reward {row['reward']:.4f}" if "reward" in row else f"loss {loss:.4f}"
        self.log(
            f"epoch {epoch + 1}/{self.config.epochs}  {learned}  dev {shown}  {row['seconds']:.0f} s"
            + ("  *" if best else "")
        )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Puts the running mean of the weights, if there is one, in the place of the last ones."""
        if self.config.ema is None:
            yield
            return
        variables = self.model.trainable_variables
        last = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
        self.model.optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, last, strict=True):
                variable.assign(value)

    def _show_history(self) -> None:
        self.history.write_csv(self.directory / "history.csv")
        plot_history(self.history.rows, self.directory / "history.png", self.history.metric)

    def _pass(self, epoch: int) -> tuple[float, float]:
        """Trains one epoch; returns its mean loss over words and its last learning rate."""
        self.batches.set_epoch(epoch)
        if self.model.mixing is not None:
            self.model.mixing.assign(self.config.scheduled_sampling * epoch / max(self.config.epochs - 1, 1))
        steps = len(self.batches)
        words = 0
        total = rate = 0.0
        prepared: Any
        with bar(total=steps, desc=f"epoch {epoch + 1}", unit="batch") as shown:
            for index, prepared in ahead(self.batches.prepared, steps):
                rate = learning_rate(self.config, epoch * steps + index, steps, self.history.scale)
                self.model.optimizer.learning_rate = rate
                inputs, targets = self.batches.completed(prepared)
                loss = self.learn(inputs, targets)
                if not np.isfinite(loss):
                    kept = f"; the best checkpoint so far is kept in {self.directory}" if epoch else ""
                    raise CapsmithError(
                        f"the loss is {loss} in epoch {epoch + 1}: lower training.learning_rate or "
                        f"training.clip_norm{kept}"
                    )
                here = int(np.count_nonzero(targets != PAD))
                total, words = total + loss * here, words + here
                shown.set_postfix(loss=f"{total / max(words, 1):.3f}", refresh=False)
                shown.update()
        return total / max(words, 1), rate

    def _dev_captions(self) -> dict[str, str]:
        length = max(self.captioner.config.decoding.max_length, 1)
        greedy = GreedyConfig(max_length=length)
        captions = caption_source([Member(self.captioner, self.prepared.source)], self.dev_ids, greedy)
        return {image_id: caption.text for image_id, caption in captions.items()}
