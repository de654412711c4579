"""``--engine`` of ``capsmith index``: where images are computed, and a model that is no run."""

from collections.abc import Sequence
from typing import NamedTuple

from capsmith.core.errors import ConfigError
from capsmith.deploy.batch.engines import ENGINES, engine_named
from capsmith.deploy.batch.job import Engine

_MODELS = "clip:"


class Engines(NamedTuple):
    """The engines that a command names.

    Attributes:
        model: That of the model, such as ``clip:PRESET``; None for runs.
        computing: That of the computation, ``local`` or ``ray``; None: this process, without shards.
    """

    model: str | None = None
    computing: str | None = None

    @classmethod
    def of(cls, names: str | Sequence[str] | None) -> "Engines":
        """Returns the engines of some names.

        Raises:
            ConfigError: One is unknown, or two are of the same kind.
        """
        names = [names] if isinstance(names, str) else list(names or ())
        for name in names:
            if name not in ENGINES and not (name.startswith(_MODELS) and name != _MODELS):
                raise ConfigError(f"--engine {name!r:.80} is unknown: use local, ray, or clip:MODEL")
        models, computing = ([name for name in names if (name in ENGINES) == kind] for kind in (False, True))
        for several in (models, computing):
            if len(several) > 1:
                raise ConfigError(f"--engine {several[0]} and --engine {several[1]} are both named: use one of them")
        return cls(models[0] if models else None, computing[0] if computing else None)

    def engine(self, workers: int | None) -> Engine | None:
        """Returns what computes blocks; None without a sharded job.

        Raises:
            ConfigError: The number of workers is out of range.
            MissingExtraError: Ray is not installed.
        """
        return None if self.computing is None else engine_named(self.computing, workers)
