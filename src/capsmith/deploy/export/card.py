"""The model card of an export."""

from pathlib import Path

from capsmith.core.files import write_text
from capsmith.deploy.export.manifest import CARD
from capsmith.deploy.export.sample_images import SampleImages
from capsmith.models.captioner import Captioner


def labels(captioner: Captioner, sample: SampleImages) -> dict[str, str]:
    """Returns short descriptions for the manifest."""
    return {"trained_on": ""}


def write_card(folder: Path, captioner: Captioner) -> None:
    """Writes the model card."""
    write_text(folder / CARD, "# captioner\n")
