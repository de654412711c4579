"""Retrains a model with corrected captions into a new run, and compares both models on dev."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capsmith.config import Config
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.log import get_logger, log_file
from capsmith.evaluation.gain_page import write_gain_page
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import ExportFolder
from capsmith.models.run import RunDirectory
from capsmith.training.fit import train
from capsmith.training.retraining.corrections import FILE, require_spelling, usable, write_corrections
from capsmith.training.retraining.gain import GAIN, Gain, read_gain, write_gain
from capsmith.training.retraining.measure import Domain, Measured, measure, new_domain, old_domain
from capsmith.training.retraining.settings import base_config, chosen_model, retrain_config
from capsmith.training.transfer import transferred_vocabulary

logger = get_logger(__name__)

PAGE = "retrain"
"""The folder of the page in the run."""


def retrain(
    corrections: Mapping[str, str],
    root: Path,
    models: Sequence[str],
    run: str | Path,
    cache: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Gain:
    """Teaches a model corrected captions. The model's own files stay as they are; the result is a new run.

    Args:
        corrections: The caption of each image, by its path relative to ``root``.
        root: The folder of the images.
        models: The model that proposed the captions; see ``chosen_model``.
        run: The new run directory.
        cache: Folder of the features of the images, for all retrainings.
        overrides: Changes to the config; ``training.transfer_from`` names another model.
        resume: Continue an interrupted retraining, with the corrections and the model that it began with.

    Returns:
        The scores before and after.

    Raises:
        ConfigError: There is no single model, or it cannot read the captions, or an override is not valid.
        DataError: There are too few corrections.
        CheckpointError: The run already holds a training, or the model cannot be used.
        KeyboardInterrupt: A signal was received; the state is saved.
    """
    directory = RunDirectory.named(run)
    begun = resume and (directory.path / GAIN).exists() and (directory.path / FILE).exists()
    gain = read_gain(directory.path / GAIN) if begun else None
    model = gain.model if gain is not None else chosen_model(models, overrides)
    base = base_config(model)
    _require_new(directory, model, resume)
    if gain is None:
        taught = usable(corrections, root, base)
        require_spelling(taught.values(), transferred_vocabulary(Path(model)), base)
    count = len(taught) if gain is None else gain.corrections
    config = retrain_config(model, directory, root, cache, count, overrides)
    _create(directory)
    with directory.locked(), log_file(directory.log):
        if gain is None:
            write_corrections(directory.path / FILE, taught)
            gain = Gain(model, count, config.training.epochs)
            write_gain(directory.path / GAIN, gain)
        domains = _domains(config, gain)
        if not gain.before:
            before = _measured(Captioner.load(model, config.trains_encoder, ["ensemble=[]"]), domains, config)
            gain.before, gain.captions = _scores(before), before["new"].captions
            write_gain(directory.path / GAIN, gain)
    captioner = train(config, directory.path, resume)
    with directory.locked(), log_file(directory.log):
        after = _measured(captioner, domains, config)
        gain.after = _scores(after)
        write_gain(directory.path / GAIN, gain)
        write_gain_page(directory.path / PAGE, **gain.page_values(domains["new"].records, after["new"].captions))
        for line in gain.lines():
            logger.info(line)
    return gain


def _domains(config: Config, gain: Gain) -> dict[str, Domain]:
    """Returns the images on which both models are measured."""
    domains, old = {"new": new_domain(config)}, old_domain(config, Path(gain.model))
    if isinstance(old, Domain):
        domains["old"], gain.no_old = old, ""
    else:
        gain.no_old = old
        logger.info(f"old domain: not measured, {old}")
    return domains


def _measured(captioner: Captioner, domains: Mapping[str, Domain], config: Config) -> dict[str, Measured]:
    return {name: measure(captioner, domain, config) for name, domain in domains.items()}


def _scores(measured: Mapping[str, Measured]) -> dict[str, Any]:
    return {name: scores.as_dict() for name, scores in measured.items()}


def _require_new(directory: RunDirectory, model: str, resume: bool) -> None:
    """Checks that the new run holds nothing that this retraining did not write; the model stays as it is.

    Raises:
        ConfigError: It is the model that learns.
        CheckpointError: It holds another training or an export.
    """
    if ExportFolder.named(model).path.resolve() == directory.path.resolve():
        raise ConfigError(f"{directory} is the model that learns, which stays as it is: choose another --run")
    if ExportFolder(directory.path).is_export or (directory.has_state and not (directory.path / GAIN).exists()):
        raise CheckpointError(f"{directory} holds another model: choose another --run")
    if directory.has_state and not resume:
        raise CheckpointError(f"{directory} already holds a retraining: add --resume, or choose another --run")


def _create(directory: RunDirectory) -> None:
    try:
        directory.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise CheckpointError(f"cannot create {directory}: {reason}; choose another --run") from error
