"""The trainings that a config needs, as a flat list: stage one, ensemble members, and the config's own training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capsmith.config import AnyConfig, load_config, of_kind
from capsmith.core.errors import ConfigError
from capsmith.core.scopes import Use, inherit
from capsmith.models.run import RunDirectory
from capsmith.training.common.config import MemberConfig
from capsmith.training.history import History, read_csv


@dataclass(frozen=True)
class Training:
    """One training of a plan.

    Attributes:
        config: Its config.
        run: Its run directory.
        title: Its role, for messages; empty for the config's own training.
        overrides: The key that overrides its settings, for messages.
    """

    config: AnyConfig
    run: RunDirectory
    title: str = ""
    overrides: str = ""


def training_plan(config: AnyConfig, run: RunDirectory) -> list[Training]:
    """Returns the trainings to run, in order; the last one is the config's own.

    Stage one is omitted if it is finished, or if the config's own training has started; members are omitted if
    they are finished. No run directory occurs twice.

    Args:
        config: The config.
        run: Its run directory.

    Raises:
        ConfigError: The config of a stage one or of a member is missing or invalid, or a training needs itself.
        CheckpointError: The history of one of the runs is damaged.
    """
    trainings: dict[Path, Training] = {}
    for training in _plan(Training(config, run), ()):
        trainings.setdefault(training.run.path.absolute(), training)
    return list(trainings.values())


def _plan(training: Training, after: tuple[Path, ...]) -> list[Training]:
    """Returns the trainings that a training needs, followed by itself.

    Args:
        training: The training.
        after: Run directories of the trainings that depend on it.
    """
    path = training.run.path.absolute()
    if path in after:
        raise ConfigError(f"the training into {training.run} needs itself, as its {training.title}: name another run")
    needed = [] if training.run.has_state else stage_one(training.config)
    needed += ensemble_members(training.config)
    plan = [planned for one in needed if not is_finished(one) for planned in _plan(one, (*after, path))]
    return [*plan, training]


def stage_one(config: AnyConfig) -> list[Training]:
    """Returns a config's stage one, if it has any.

    Raises:
        ConfigError: Its config is missing or invalid.
    """
    if config.stage_one is None:
        return []
    run, settings = config.stage_one
    stage = inherit(_same_kind(settings.config, settings.set, config), config, Use.STAGE)
    return [Training(stage, RunDirectory(run), f"stage one ({settings.config})", "training.stage_one.set")]


def ensemble_members(config: AnyConfig) -> list[Training]:
    """Returns the trainings of the ensemble's other members. Unlike a stage one, a member has its own seed.

    Raises:
        ConfigError: The config of a member is missing or invalid.
    """
    return [
        Training(
            _member_config(member, config),
            RunDirectory(member.run),
            f"ensemble member ({member.config})",
            f"ensemble.{index}.set",
        )
        for index, member in enumerate(config.ensemble)
    ]


def is_finished(training: Training) -> bool:
    """Returns whether a training is complete.

    Raises:
        CheckpointError: Its history is damaged.
    """
    if not training.run.history.exists() or not training.run.has_best:
        return False
    rows = read_csv(training.run.history)
    metric = training.config.dev_metric
    scored = bool(rows) and all(f"dev_{metric}" in row for row in rows)
    return scored and History(metric, rows).finished(training.config.training)


def _same_kind(name: str, overrides: Sequence[str], config: AnyConfig) -> AnyConfig:
    """Reads the config of a training that another one needs; both train a captioner, or both a joint embedding."""
    return of_kind(load_config(name, overrides), type(config), name)


def _member_config(member: MemberConfig, config: AnyConfig) -> AnyConfig:
    own = inherit(_same_kind(member.config, member.set, config), config, Use.MEMBER)
    evaluation = own.evaluation.model_copy(update={"after_training": None})  # the ensemble is scored, not its members
    encoder = config.encoder
    if member.encoders is not None:
        encoders = tuple(config.encoders[index] for index in member.encoders)
        encoder = encoders if len(encoders) > 1 else encoders[0]
    return own.model_copy(update={"evaluation": evaluation, "encoder": encoder})
