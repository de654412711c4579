"""The scores of a model on held-out corrections and on its old domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.config import Config
from capsmith.core.errors import CapsmithError, one_line
from capsmith.core.log import get_logger
from capsmith.data.prepare import prepare
from capsmith.data.records import Corpus, Record, read_dataset
from capsmith.evaluation.decode import decode_images
from capsmith.evaluation.evaluate import tokeniser
from capsmith.metrics import Scorer
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import ExportFolder
from capsmith.models.run_config import run_config
from capsmith.training.rehearsal import cached_features, evenly_spaced, first_model
from capsmith.vision.config import FeaturesConfig

logger = get_logger(__name__)

OLD_IMAGES = 500
"""Images of the old dev split that are captioned, evenly spaced."""
_SLOW = ("meteor", "spice")


@dataclass(frozen=True)
class Domain:
    """Images with references on which models are compared.

    Attributes:
        title: What they are, in a few words.
        records: The images.
        features: Where their features are.
    """

    title: str
    records: tuple[Record, ...]
    features: FeaturesConfig


@dataclass(frozen=True)
class Measured:
    """The captions of a domain by one model, and their scores.

    Attributes:
        images: Number of images.
        references: Mean number of references of an image.
        scores: The score of each metric.
        signature: That of CIDEr, which says how it was computed.
        captions: The caption of each image.
    """

    images: int
    references: float
    scores: dict[str, float]
    signature: str
    captions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Returns the numbers, as JSON."""
        return {
            "images": self.images,
            "references": round(self.references, 2),
            "signature": self.signature,
            **{name: round(value, 4) for name, value in self.scores.items()},
        }


def measure(captioner: Captioner, domain: Domain, config: Config) -> Measured:
    """Captions and scores a domain, with the search and the metrics of a config.

    Args:
        captioner: The model.
        domain: The images.
        config: Encoders, search and metrics: the same for all models that are compared.

    Raises:
        CapsmithError: The images or features cannot be used.
    """
    trained = captioner.members[0].encoder if config.trains_encoder else None
    prepared = prepare(Corpus(domain.records), config.encoders, domain.features, ("dev",), trained)
    records = prepared.split("dev")
    references = {record.image_id: list(record.captions) for record in records}
    captions = decode_images(captioner, [prepared.source], list(references), config.decoding)
    texts = {image_id: caption.text for image_id, caption in captions.items()}
    metrics = dict.fromkeys(["cider", *(name for name in config.evaluation.metrics if name not in _SLOW)])
    scores = Scorer(references, list(metrics), tokeniser(config)).score(texts)
    mean = sum(map(len, references.values())) / len(references)
    values = {name: float(score.value) for name, score in scores.items()}
    return Measured(len(records), mean, values, str(scores["cider"].signature), texts)


def new_domain(config: Config) -> Domain:
    """Returns the held-out corrections of a retraining.

    Raises:
        DataError: They cannot be read.
    """
    records = read_dataset(config.data).split("dev")
    return Domain("held-out corrections", tuple(records), config.features)


def old_domain(config: Config, model: Path) -> Domain | str:
    """Returns dev images of the data with which a model was trained first, or why there are none.

    Args:
        config: The config of the retraining.
        model: The model that learns.
    """
    first = first_model(model)
    try:
        old = run_config(ExportFolder.named(first).path)
        if old.features.pickle is not None:
            return f"the features of {first} come from a pickle"
        found: Sequence[Record] = evenly_spaced(read_dataset(old.data).split("dev"), OLD_IMAGES)
    except CapsmithError as error:
        return f"the data of {first} cannot be read ({one_line(error)[:160]})"
    if not found:
        return f"the data of {first} have no dev images"
    return Domain(f"dev of {first}", tuple(found), cached_features(config, old, found))
