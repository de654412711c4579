"""The config of ``capsmith train --smoke``: every required training is tiny and stays in one directory."""

import json
from collections.abc import Sequence
from pathlib import Path

from capsmith.config import AnyConfig, load_config
from capsmith.models.run import RunDirectory

OVERRIDES = (
    "data.limit=48",
    "text.min_count=1",
    "training.epochs=1",
    "training.batch_size=40",
    "evaluation.examples=8",
    "data.max_bad_fraction=1",
)
"""Overrides that make a training tiny."""


def smoke_config(config: AnyConfig, directory: Path) -> AnyConfig:
    """Returns a config whose stage one, ensemble members and adapted encoders are trained inside a directory.

    Args:
        config: A config with ``OVERRIDES``.
        directory: The run directory of the smoke run.

    Raises:
        ConfigError: The config of a stage one or of a member is missing or invalid.
    """
    return _SmokeConfig(directory).of(config)


class _SmokeConfig:
    """Moves runs into a directory. Trainings that share a run share its place in the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.places: dict[Path, Path] = {}

    def of(self, config: AnyConfig) -> AnyConfig:
        run, training = RunDirectory(self.directory), config.training
        if config.stage_one is not None:
            weights, stage = config.stage_one
            place = self._place(weights, run.stage_one)
            moved = self._overrides(stage.config, stage.set, place)
            training = training.model_copy(
                update={"resume_weights_from": place, "stage_one": stage.model_copy(update={"set": moved})}
            )
        members = []
        for number, member in enumerate(config.ensemble, start=1):
            place = self._place(member.run, run.member(number))
            moved = self._overrides(member.config, member.set, place)
            members.append(member.model_copy(update={"run": place, "set": moved}))
        config = config.model_copy(update={"training": training, "ensemble": tuple(members)})
        return config.adapted_into(run.pretrained_encoders(len(config.encoders)))

    def _overrides(self, name: str, overrides: Sequence[str], place: Path) -> tuple[str, ...]:
        """Returns the overrides of a stage one's or member's config, with those that move its own stage one."""
        overrides = (*overrides, *OVERRIDES)
        first = load_config(name, overrides).stage_one
        if first is None:
            return overrides
        weights, stage = first
        inner = self._place(weights, RunDirectory(place).stage_one)
        moved = self._overrides(stage.config, stage.set, inner)
        return (
            *overrides,
            f"training.resume_weights_from={json.dumps(str(inner))}",
            f"training.stage_one.set={json.dumps(moved)}",
        )

    def _place(self, run: Path, default: Path) -> Path:
        return self.places.setdefault(run.absolute(), default)
