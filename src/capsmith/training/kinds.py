"""What is trained: a captioner or a joint embedding. The only place where training tells them apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capsmith.config import AnyConfig
from capsmith.training.captioning import train_captioner
from capsmith.training.embedding.train import train_embedding
from capsmith.training.transfer import with_transferred_model


@dataclass(frozen=True)
class Kind:
    """The steps of a training that depend on what is trained.

    Attributes:
        resolved: Returns the config to train with, for a config from a file.
        train: Trains a resolved config into a run directory, given the corpus and the sessions, and evaluates it;
            returns the model.
    """

    resolved: Callable[[Any], AnyConfig]
    train: Callable[..., Any]


_KINDS = {
    "captioner": Kind(with_transferred_model, train_captioner),
    "embedding": Kind(lambda config: config, train_embedding),
}


def kind_of(config: AnyConfig) -> Kind:
    """Returns the steps that a config needs."""
    return _KINDS[config.kind]
