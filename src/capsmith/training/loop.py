"""The epochs of one training: batches, steps, dev scores, and all that a killed process goes on from."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from capsmith.core.compilation import training_step
from capsmith.core.errors import CapsmithError, CheckpointError, memory_advice
from capsmith.core.log import get_logger
from capsmith.core.prefetch import prefetch
from capsmith.core.progress import progress_bar
from capsmith.data.batches import Batches
from capsmith.data.prepare import Prepared, extract_store
from capsmith.data.sources import AugmentedSource, CroppedSource, PlainSource, TrainingSource, flip_ids, known_pairs
from capsmith.data.text.vocabulary import PAD
from capsmith.decoding.search import GreedyConfig
from capsmith.evaluation.decode import decode_images
from capsmith.evaluation.evaluate import tokeniser
from capsmith.evaluation.plots import plot_history
from capsmith.metrics.diversity import diversity
from capsmith.metrics.scorer import Scorer, expand
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_state, save_state
from capsmith.models.run import RunDirectory
from capsmith.training.encoder_adaptation import keep_adapted
from capsmith.training.epoch_state import EpochProgress
from capsmith.training.history import History, Row
from capsmith.training.kept import KeptFiles
from capsmith.training.optimizers import build_optimizer
from capsmith.training.schedules import learning_rate
from capsmith.training.self_critical import SampledBatches
from capsmith.training.sessions import Sessions
from capsmith.training.setup import examples
from capsmith.training.signals import Stop, stopping

logger = get_logger(__name__)

STATE = "state.npz"
_SLOW_METRICS = {"meteor", "spice"}  # a Java start each: not in every epoch


class Epochs:
    """Trains a captioner until it gets no better.

    Args:
        captioner: The new model.
        prepared: Images of ``train`` and ``dev``, and their features.
        run: The run directory.
        sessions: Counts the processes of this training; by default from now on.
    """

    def __init__(self, captioner: Captioner, prepared: Prepared, run: Path, sessions: Sessions | None = None) -> None:
        self.sessions = sessions or Sessions()
        self.captioner, self.prepared, self.directory = captioner, prepared, run
        self.config, self.model = captioner.config.training, captioner.model
        self.batches = _batches(captioner, prepared)
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
        self.saved: tuple[int, int] | None = None  # epochs and batches that the state on the disk is after
        # XLA is what makes JAX fast; TensorFlow would compile anew for each shape, and torch for each call
        self.model.compile(self._optimizer(), jit_compile=keras.backend.backend() == "jax")
        self.model.optimizer.build(self.model.trainable_variables)
        self.learn = training_step(self.model)

    def _optimizer(self) -> keras.optimizers.Optimizer:
        encoder = self.model.encoder
        slow = encoder.trainable_variables if encoder is not None else ()
        return build_optimizer(self.config, slow, self.captioner.config.encoders[0].learning_rate_multiplier)

    def run(self, resume: bool) -> History:
        """Trains until done; returns the history.

        Raises:
            CapsmithError: The loss is no longer a number, or the disk is full; what was saved stays.
            KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came; the batch was finished, and everything saved.
        """
        if resume:
            part = self._taken_up()
        else:
            part = EpochProgress()
            self.captioner.save_parts(self.directory)
            if self.captioner.encoder is not None:
                keep_adapted(self.captioner.config, self.directory)
            self._describe()
        try:
            with (
                stopping() as stop,
                KeptFiles(self.directory, len(self.captioner.config.encoders)) as self.kept,
            ):
                while not self.history.finished(self.config):
                    self._epoch(part, stop)
                    part = EpochProgress(part.epoch + 1)
                    stop.check()  # the epoch's end has saved
        except KeyboardInterrupt:
            logger.info(f"interrupted {self._where(part)}; {self._kept_of(part)}")
            raise
        return self.history

    def _taken_up(self) -> EpochProgress:
        """Restores what an earlier process left; returns how far its epoch had come."""
        state = self.directory / STATE
        progress = load_state(state, self.model)
        history = History.from_json(progress, str(state))
        if history.metric != self.history.metric:
            raise CheckpointError(
                f"{state} is damaged: its metric is {history.metric!r:.40}, the config's {self.history.metric}; "
                "remove it to train from the start"
            )
        self.history = history
        self.sessions.go_on(progress, self.history.rows, str(state))
        part = EpochProgress.from_json(progress, str(state), self.history.epochs, len(self.batches))
        self.saved = (self.history.epochs, part.step)
        self._show_history()  # it may have been killed between the state and these
        logger.info(f"resuming {self._where(part)}")
        return part

    def _where(self, part: EpochProgress) -> str:
        done = self.history.epochs
        return f"after epoch {done}" + (f" and {part.step} batches" if part.step and part.epoch == done else "")

    def _kept_of(self, part: EpochProgress) -> str:
        here = (self.history.epochs, part.step if part.epoch == self.history.epochs else 0)
        if self.saved == here:
            return f"everything is saved in {self.directory}"
        if self.saved is None:
            return "nothing is saved yet"
        epochs, step = self.saved
        return f"what {self.directory} holds is from after epoch {epochs}" + (f" and {step} batches" if step else "")

    def _describe(self) -> None:
        count = sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)
        logger.info(
            f"model: {self.captioner.config.decoder.type}, {count:,} trained parameters; {len(self.batches)} batches "
            f"of {self.batches.batch_size} captions an epoch"
            + (f", {self.batches.padding:.0%} padding" if isinstance(self.batches, Batches) else ", all sampled")
        )

    def _epoch(self, part: EpochProgress, stop: Stop) -> None:
        started = time.perf_counter() - part.seconds
        self._pass(part, stop)
        with self._averaged():
            captions = self._dev_captions()
            scores = self.scorer.score(captions)
            row: Row = {"epoch": part.epoch + 1, "loss": part.mean_loss, "learning_rate": part.rate}
            if isinstance(self.batches, SampledBatches):
                row["reward"] = float(np.mean(self.batches.rewards))
                row["baseline"] = float(np.mean(self.batches.baselines))
                row["dev_broken"] = diversity([caption.split() for caption in captions.values()]).broken
            row |= {f"dev_{name}": score.value for name, score in scores.items()}
            row["seconds"] = round(time.perf_counter() - started, 2)
            best = self.history.add(row, self.config)
            weights = RunDirectory(self.directory).weights
            if best or not weights.is_file():
                self.captioner.save_weights(self.directory)
                if not best:
                    logger.info(f"{weights.name} had been removed: this epoch's weights stand in for the best one's")
        self._save(None)
        self._show_history()
        shown = " ".join(f"{name} {score.value:.4f}" for name, score in scores.items())
        learned = f"reward {row['reward']:.4f}" if "reward" in row else f"loss {part.mean_loss:.4f}"
        logger.info(
            f"epoch {part.epoch + 1}/{self.config.epochs}  {learned}  dev (greedy) {shown}  {row['seconds']:.0f} s"
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

    def _save(self, part: EpochProgress | None) -> None:
        """Writes the state at the end of an epoch (None), or within one."""
        sampled = self.batches if isinstance(self.batches, SampledBatches) else None
        if part is not None and sampled is not None:
            part.rewards, part.baselines = sampled.rewards, sampled.baselines
        inside = {} if part is None else part.to_json()
        self.kept.restore()
        save_state(self.directory / STATE, self.model, self.history.to_json() | self.sessions.to_json() | inside)
        self.saved = (self.history.epochs, 0 if part is None else part.step)

    def _pass(self, part: EpochProgress, stop: Stop) -> None:
        """Trains one epoch, or what is left of it."""
        self.batches.set_epoch(part.epoch)
        if isinstance(self.batches, SampledBatches):
            self.batches.rewards, self.batches.baselines = list(part.rewards), list(part.baselines)
        if self.model.mixing is not None:
            self.model.mixing.assign(self.config.scheduled_sampling * part.epoch / max(self.config.epochs - 1, 1))
        steps = len(self.batches)
        every = float("inf") if self.config.checkpoint_every is None else self.config.checkpoint_every * 60
        started = saved = time.perf_counter()
        before = part.seconds
        prepared: Any
        with progress_bar(
            total=steps, initial=part.step, desc=f"epoch {part.epoch + 1}/{self.config.epochs}", unit="batch"
        ) as shown:
            for index, prepared in prefetch(self.batches.load, range(part.step, steps)):
                part.rate = learning_rate(self.config, part.epoch * steps + index, steps, self.history.scale)
                self.model.optimizer.learning_rate = part.rate
                inputs, targets = self.batches.finalize(prepared)
                with memory_advice(
                    "training.batch_size", self.config.batch_size, "a smaller model (decoder.units), in another --run"
                ):
                    loss = self.learn(inputs, targets)
                part.add(self._finite(loss, part), int(np.count_nonzero(targets != PAD)))
                shown.set_postfix(loss=f"{part.mean_loss:.3f}", refresh=False)
                shown.update()
                now = time.perf_counter()
                part.seconds = before + now - started
                if now - saved >= every or stop.signal is not None:
                    self._save(part)
                    saved = now
                stop.check()

    def _finite(self, loss: float, part: EpochProgress) -> float:
        if np.isfinite(loss):
            return loss
        calmer = f"--set training.learning_rate={self.config.learning_rate / 5:.1g}"
        if self.config.clip_norm is None:
            calmer += " --set training.clip_norm=5"
        begin = [f"--set training.resume_weights_from={self.directory}"]
        begin += ["--set training.transfer_from=null"] if self.config.transfer_from is not None else []
        if self.config.stage_one is not None:
            begin += ["--set training.stage_one=null"]
        best = f" ({' '.join(begin)} begins with its best epoch's weights)"
        raise CapsmithError(
            f"the loss is {loss} in epoch {part.epoch + 1}: train into another --run with {calmer}"
            + (best if self.history.epochs else "")
        )

    def _dev_captions(self) -> dict[str, str]:
        length = max(self.captioner.config.decoding.max_length, 1)
        greedy = GreedyConfig(max_length=length)
        captions = decode_images(self.captioner, [self.prepared.source], self.dev_ids, greedy)
        return {image_id: caption.text for image_id, caption in captions.items()}


def _batches(captioner: Captioner, prepared: Prepared) -> Batches | SampledBatches:
    config = captioner.config.training
    records = prepared.split("train")
    ids = [record.image_id for record in records]
    sections = captioner.config.encoders, captioner.config.features
    views = [extract_store(records, *sections, view) for view in range(1, config.cached_crops + 1)]
    source: TrainingSource = CroppedSource([prepared.source, *views], ids) if views else PlainSource(prepared.source)
    if config.augment is not None:
        source = AugmentedSource(prepared.source, ids, config.augment)
    mirror = flip_ids(captioner.vocabulary.words, config.flip_word_pairs)
    if source.flips:
        _tell_skipped(captioner.vocabulary.words, config.flip_word_pairs)
    if config.objective == "scst":
        return SampledBatches(captioner, source, records, mirror)
    encoded = examples(records, captioner.vocabulary, captioner.config, source.rows(ids))
    group_by_image = prepared.encoder is not None or len(prepared.feature_shape) > 1
    return Batches(source, encoded, config.batch_size, captioner.config.seed, group_by_image, mirror)


def _tell_skipped(words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    known = known_pairs(words, pairs)
    skipped = [pair for pair in pairs if pair not in known]
    if skipped:
        logger.info(
            f"mirrored images: {len(pairs) - len(skipped)} of {len(pairs)} pairs of training.flip_word_pairs change "
            f"places; the vocabulary lacks a word of {skipped[0][0]}/{skipped[0][1]}"
            + (f" and {len(skipped) - 1} more" if skipped[1:] else "")
        )
