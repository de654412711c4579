"""The objectives by their names in a config."""

from collections.abc import Callable

from capsmith.data.prepare import Prepared
from capsmith.models.captioner import Captioner
from capsmith.training.cross_entropy import CrossEntropy
from capsmith.training.objective import Objective
from capsmith.training.self_critical import SelfCritical
from capsmith.training.training_images import TrainingImages

OBJECTIVES: dict[str, Callable[[Captioner, TrainingImages], Objective]] = {
    "cross_entropy": CrossEntropy,
    "scst": SelfCritical,
}
"""Values of ``training.objective``."""


def build_objective(captioner: Captioner, prepared: Prepared) -> Objective:
    """Returns the objective that the captioner's config names, on the training images."""
    return OBJECTIVES[captioner.config.training.objective](captioner, TrainingImages.of(captioner, prepared))
