"""Settings of the training and evaluation of captioners."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capsmith.core.errors import DataError
from capsmith.core.registry import UNLOADED
from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope
from capsmith.metrics.registry import canonical, expand, lower_is_better
from capsmith.training.common.config import OptimisationConfig, StageOneConfig
from capsmith.vision.augment import AugmentConfig


class RehearsalConfig(Settings):
    """Captions of the model in ``transfer_from`` that a training repeats beside its own (Robins 1995).

    With a frozen encoder, the targets of their words are the probabilities of that model (Li and Hoiem 2016).
    """

    source: Literal["auto", "data", "model"] = "auto"
    """``data``: training images of that run, with their references. ``model``: its summary of its training images, with
    captions that it samples for them (pseudo-rehearsal); an export needs no data for it. ``auto``: ``data`` if its
    images can be read, else ``model``."""
    share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the captions in an epoch that are old."""
    images: int = Field(default=1_000, ge=1)
    """Maximum number of old images, spread evenly over the train split."""


class TrainingConfig(OptimisationConfig):
    """How the decoder is trained."""

    renamed: ClassVar[Mapping[str, str]] = {
        "start": "resume_weights_from",
        "init": "transfer_from",
        "start_config": "start_config is now stage_one.config: stage_one: {config: FILE, set: [KEY=VALUE]}",
        "start_set": "start_set is now stage_one.set: stage_one: {config: FILE, set: [KEY=VALUE]}",
        "views": "cached_crops",
        "mirror_words": "flip_word_pairs",
    }

    objective: Literal["cross_entropy", "scst"] = "cross_entropy"
    """``cross_entropy`` learns to predict each word of the references. ``scst`` (self-critical sequence training,
    Rennie et al. 2017) samples captions and maximises their CIDEr-D; it starts from a trained model and requires
    ``resume_weights_from``."""
    resume_weights_from: Annotated[Path | None, Scope.TRAINING_FILES] = None
    """Run directory whose weights this training starts from. It must have the same encoder, decoder and vocabulary."""
    stage_one: StageOneConfig | None = None
    """Trains the run that ``resume_weights_from`` names first, when that run is missing or unfinished."""
    transfer_from: Path | None = None
    """Run directory, export, or ``starter`` (the model that comes with capsmith) to transfer weights from, for a new
    dataset with another vocabulary. Words in both vocabularies keep their embeddings; new words are initialised.
    Encoder and decoder of a run must equal those of this config; those of an export or ``starter`` replace them."""
    keep_words: bool = False
    """``transfer_from`` only: keep all words of that model, which the new captions may lack, and add those that it
    lacks. Set it to teach a model more captions; without it, the vocabulary is that of the new captions."""
    rehearsal: RehearsalConfig | None = None
    """``transfer_from`` only: train on old captions too, so that the model does not forget them. ``{}`` uses the
    defaults; null trains on the new captions only."""
    teacher_captions: Path | None = None
    """``cross_entropy`` only: file with captions of training images by another captioner, such as the predictions of an
    ensemble on the train split, learned beside the references (sequence-level distillation, Kim and Rush 2016). Any
    format that ``capsmith score`` reads; an image may have several captions. The vocabulary stays that of the
    references."""
    samples: int = Field(default=5, ge=1, le=1_000)
    """``scst`` only: captions sampled for each image. More samples lower the variance of the gradient and cost time."""
    baseline: Literal["leave_one_out", "greedy"] = "leave_one_out"
    """``scst`` only: reward that a sample has to beat. ``leave_one_out`` is the mean reward of the image's other
    samples (Luo 2020) and requires 2 or more; ``greedy`` is the reward of the greedy caption (Rennie et al. 2017)."""
    bleu_weight: float = Field(default=0.0, ge=0)
    """``scst`` only: weight of BLEU-4 in the reward, added to CIDEr-D."""
    neighbours: int = Field(default=0, ge=0, le=1_000)
    """``scst`` only: number of similar training images with whose captions a sample is compared too; 0 for none. It
    needs a frozen encoder."""
    neighbour_weight: float = Field(default=1.0, ge=0)
    """``scst`` only: weight of the CIDEr-D against the captions of ``neighbours``, added to that against the
    references."""
    augment: AugmentConfig | None = None
    """Random augmentation of training images, for an encoder that is trained. ``{}`` uses the defaults."""
    scheduled_sampling: float = Field(default=0.0, ge=0, le=1)
    """Fraction of input words replaced by words that the model samples in the last epoch; it rises linearly from 0 in
    the first (Bengio et al. 2015)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Probability mass of the target that is spread evenly over the vocabulary."""
    metric: str = "cider"
    """Dev metric that selects the best epoch and drives ``patience`` and ``plateau``."""

    def restart(self, run: Path) -> list[str]:
        """Returns the overrides with which another training starts from the best weights of a run."""
        named = {"transfer_from": self.transfer_from, "stage_one": self.stage_one}
        off = [f"training.{key}=null" for key, value in named.items() if value is not None]
        return [f"training.resume_weights_from={run}", *off]

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        (name,) = _metrics(info, value)
        if name not in _unloaded(info) and any(map(lower_is_better, expand([name]))):
            raise ValueError(f"{name} is lowest for captions that name nothing: it cannot select the best epoch")
        return name

    @model_validator(mode="after")
    def _complete(self) -> "TrainingConfig":
        if self.objective == "scst" and self.resume_weights_from is None:
            raise ValueError("scst starts from a trained model: set resume_weights_from to a run of cross_entropy")
        if self.transfer_from is not None and self.resume_weights_from is not None:
            raise ValueError(
                "transfer_from takes a run with another vocabulary, resume_weights_from one with the same: "
                "remove one of them"
            )
        if self.transfer_from is None and (self.keep_words or self.rehearsal is not None):
            key = "keep_words" if self.keep_words else "rehearsal"
            raise ValueError(f"{key} is about the model in transfer_from: set transfer_from, or remove {key}")
        if self.objective == "scst" and self.rehearsal is not None:
            raise ValueError("rehearsal is of captions, which cross_entropy learns: remove it, or change objective")
        if self.objective == "scst" and self.teacher_captions is not None:
            raise ValueError("teacher_captions are learned by cross_entropy: set them in the config of stage one")
        if self.stage_one is not None and self.resume_weights_from is None:
            raise ValueError("stage_one trains the run that resume_weights_from names: set resume_weights_from too")
        if self.objective == "scst" and self.baseline == "leave_one_out" and self.samples < 2:
            raise ValueError("baseline leave_one_out requires samples of 2 or more")
        return self


class EvaluationConfig(Settings):
    """How captions are scored."""

    metrics: tuple[str, ...] = ("bleu", "rouge", "cider")
    """Metrics to compute; ``capsmith list metrics`` prints the names."""
    detections: Path | None = None
    """For the metric ``hallucination``: file with the objects that a detector found in the images, which are true
    besides those that references name: lines of ``capsmith detect --json``, or COCO results or annotations."""
    detection_threshold: float = Field(default=0.0, ge=0, le=1)
    """Least confidence of the objects of ``detections`` that count; 0 for all that the file holds."""
    tokeniser: Literal["coco", "simple", "char"] | None = None
    """Tokeniser for scoring; by default ``coco``, or ``char`` where ``text.mode`` is ``char``."""
    after_training: Literal["test", "dev"] | None = "test"
    """Split that ``train`` scores and reports at the end; null for none."""
    batch_size: int = Field(default=128, ge=1, le=10_000)
    """Maximum number of images decoded together; reduced automatically where many beams or samples of a large
    vocabulary would exceed memory. Captions do not depend on it."""
    examples: int = Field(default=60, ge=0)
    """Images shown in the report, best and worst first."""

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _metrics(info, *value)


def _metrics(info: ValidationInfo, *names: str) -> tuple[str, ...]:
    """Returns canonical metric names; names from plugins that are not loaded stay unchanged."""
    unloaded = _unloaded(info)
    known = [name for name in names if name not in unloaded]
    try:
        canonical_names = dict(zip(known, canonical(known), strict=True)) if known or not names else {}
    except DataError as error:
        raise ValueError(str(error)) from error
    return tuple(canonical_names.get(name, name) for name in names)


def _unloaded(info: ValidationInfo) -> set[str]:
    """Returns the metrics of plugins that are not loaded."""
    return {name for kind, name in (info.context or {}).get(UNLOADED, {}) if kind == "metric"}
