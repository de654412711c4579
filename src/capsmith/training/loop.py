"""The training loop: epochs of batches, dev scores after each epoch, and a state from which training resumes."""

import time
from collections.abc import Mapping

import numpy as np

from capsmith.core.errors import CheckpointError, memory_advice
from capsmith.core.log import get_logger
from capsmith.core.prefetch import prefetch
from capsmith.core.progress import progress_bar
from capsmith.metrics import Score
from capsmith.models.checkpoints import load_state, save_state
from capsmith.training.divergence import require_finite
from capsmith.training.epoch_state import EpochProgress
from capsmith.training.history import History, Row
from capsmith.training.objective import Objective
from capsmith.training.optimizers import averaged_weights
from capsmith.training.run_files import RunFiles
from capsmith.training.schedules import learning_rate
from capsmith.training.sessions import Sessions
from capsmith.training.signals import StopSignal, stop_signals
from capsmith.training.validation import Validation

logger = get_logger(__name__)


class TrainingLoop:
    """Trains a model until its dev score stops improving.

    Args:
        objective: The objective, with the model and the batches.
        validation: Scores the dev split.
        files: The files of the run.
        sessions: Counts the processes of this training; a new count by default.
    """

    def __init__(
        self, objective: Objective, validation: Validation, files: RunFiles, sessions: Sessions | None = None
    ) -> None:
        self.objective, self.validation, self.files = objective, validation, files
        self.sessions = sessions or Sessions()
        self.model, self.batches = objective.model, objective.batches
        self.config, self.directory = objective.config, files.run
        self.history = History(validation.metric)
        self.saved_at: tuple[int, int] | None = None  # finished epochs and batches in the state on disk
        self.step = objective.compile(objective.optimizer())

    def run(self, resume: bool) -> History:
        """Trains to the end.

        Args:
            resume: Continue from the state in the run directory.

        Returns:
            The history.

        Raises:
            CapsmithError: The loss is NaN or infinite, or the disk is full. Saved files remain.
            KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP was received. The batch was finished and its state saved.
        """
        progress = self._resume() if resume else EpochProgress()
        if not resume:
            self._log_model()
        try:
            with stop_signals() as stop:
                while not self.history.finished(self.config):
                    self._epoch(progress, stop)
                    progress = EpochProgress(progress.epoch + 1)
                    stop.check()
        except KeyboardInterrupt:
            logger.info(f"interrupted {self._position(progress)}; {self._saved(progress)}")
            raise
        return self.history

    # --- one epoch -------------------------------------------------------------------------------------------------

    def _epoch(self, progress: EpochProgress, stop: StopSignal) -> None:
        """Trains an epoch, or the rest of it, scores the dev split, and saves."""
        started = time.perf_counter() - progress.seconds
        self._train_epoch(progress, stop)
        with averaged_weights(self.model, self.config):
            predictions = self.validation.predict()
            scores = self.validation.scores(predictions)
            row: Row = {"epoch": progress.epoch + 1, "loss": progress.mean_loss, "learning_rate": progress.rate}
            row |= self.objective.row_fields(predictions)
            row |= {f"dev_{name}": score.value for name, score in scores.items()}
            row["seconds"] = round(time.perf_counter() - started, 2)
            best = self.history.add(row, self.config)
            if best:
                self.files.write_best()
        self._save_state(None)
        self.files.write_history(self.history)
        self._log_epoch(row, scores, best)

    def _train_epoch(self, progress: EpochProgress, stop: StopSignal) -> None:
        """Takes the remaining training steps of an epoch."""
        self.objective.start_epoch(progress.epoch, progress.samples)
        steps, minutes = len(self.batches), self.config.checkpoint_every
        interval = float("inf") if minutes is None else minutes * 60
        before, started = progress.seconds, time.perf_counter()
        last_save = started
        name = f"epoch {progress.epoch + 1}/{self.config.epochs}"
        with progress_bar(total=steps, initial=progress.step, desc=name, unit="batch") as bar:
            for index, batch in prefetch(self.batches.load, range(progress.step, steps)):
                self._train_step(progress, index, batch)
                bar.set_postfix(loss=f"{progress.mean_loss:.3f}", refresh=False)
                bar.update()
                now = time.perf_counter()
                progress.seconds = before + now - started
                if now - last_save >= interval or stop.signal is not None:
                    self._save_state(progress)
                    last_save = now
                stop.check()

    def _train_step(self, progress: EpochProgress, index: int, batch: object) -> None:
        steps = len(self.batches)
        progress.rate = learning_rate(self.config, progress.epoch * steps + index, steps, self.history.scale)
        self.model.optimizer.learning_rate = progress.rate
        inputs, targets = self.batches.finalize(batch)
        with memory_advice(
            "training.batch_size",
            self.config.batch_size,
            f"a smaller model ({self.objective.size_key}), in another --run",
        ):
            loss = self.step(inputs, targets)
        require_finite(loss, progress.epoch + 1, self.config, self.directory, self.history.epochs > 0)
        progress.add(loss, self.objective.weight(targets))

    # --- saving and resuming ---------------------------------------------------------------------------------------

    def _save_state(self, progress: EpochProgress | None) -> None:
        """Saves the state at the end of an epoch (None), or within one."""
        state = self.history.to_json() | self.sessions.to_json()
        if progress is not None:
            progress.samples = self.objective.samples
            state |= progress.to_json()
        save_state(self.directory.state, self.model, state)
        self.saved_at = (self.history.epochs, 0 if progress is None else progress.step)

    def _resume(self) -> EpochProgress:
        """Restores the state; returns the progress of its epoch.

        Raises:
            CheckpointError: The state is damaged, or belongs to another model.
        """
        path = self.directory.state
        state = load_state(path, self.model)
        history = History.from_json(state, str(path))
        if history.metric != self.history.metric:
            raise CheckpointError(
                f"{path} is damaged: its metric is {history.metric!r:.40}, the config's {self.history.metric}; "
                "remove it to train from the start"
            )
        self.history = history
        self.sessions.resume(state, history.rows, str(path))
        progress = EpochProgress.from_json(state, str(path), history.epochs, len(self.batches))
        self.saved_at = (history.epochs, progress.step)
        self.files.write_history(history)  # the process may have been killed after the state, before these files
        logger.info(f"resuming {self._position(progress)}")
        return progress

    # --- messages --------------------------------------------------------------------------------------------------

    def _log_model(self) -> None:
        count = sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)
        logger.info(
            f"model: {self.objective.name}, {count:,} trained parameters; {len(self.batches)} batches "
            f"of {self.batches.batch_size} captions an epoch, {self.objective.summary}"
        )

    def _log_epoch(self, row: Row, scores: Mapping[str, Score], best: bool) -> None:
        dev = " ".join([self.validation.label, *(f"{name} {score.value:.4f}" for name, score in scores.items())])
        logger.info(
            f"epoch {row['epoch']:.0f}/{self.config.epochs}  {self.objective.progress(row)}  {dev}  "
            f"{row['seconds']:.0f} s" + ("  *" if best else "")
        )

    def _position(self, progress: EpochProgress) -> str:
        return _after(self.history.epochs, progress.step if progress.epoch == self.history.epochs else 0)

    def _saved(self, progress: EpochProgress) -> str:
        current = (self.history.epochs, progress.step if progress.epoch == self.history.epochs else 0)
        if self.saved_at == current:
            return f"everything is saved in {self.directory}"
        if self.saved_at is None:
            return "nothing is saved yet"
        return f"the state in {self.directory} is from {_after(*self.saved_at)}"


def _after(epochs: int, batches: int) -> str:
    return f"after epoch {epochs}" + (f" and {batches} batches" if batches else "")
