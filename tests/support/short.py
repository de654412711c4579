"""The shortest training: one epoch with hardly any learning, without a report."""

from tests.support import shapes

SHORT = {
    "text": {"max_length": 7},
    "training": {"epochs": 1, "learning_rate": 1e-9, "warmup": 0},
    "decoder": {"dropout": 0.0},
    "evaluation": {"after_training": None},
}


def settings(**sections):
    """Returns the config of a training of one short epoch without a test evaluation."""
    return shapes.settings(**{**SHORT, **{name: {**SHORT.get(name, {}), **s} for name, s in sections.items()}})
