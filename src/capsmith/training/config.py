"""Settings that all trainings share; those of the training and evaluation of captioners."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capsmith.core.errors import DataError
from capsmith.core.registry import UNLOADED, OneOf
from capsmith.core.schema import Precision, Settings
from capsmith.core.scopes import Scope
from capsmith.data.datasets import DATASETS, DatasetConfig
from capsmith.data.text.config import TextConfig
from capsmith.metrics.registry import canonical
from capsmith.vision.augment import AugmentConfig
from capsmith.vision.config import EncoderConfig, Encoders, FeaturesConfig

AnyDataset = Annotated[DatasetConfig, OneOf(DATASETS)]


class StageOneConfig(Settings):
    """A training that precedes this one and provides its initial weights."""

    config: str
    """Path or name of its config. It inherits the seed, data, text, features and encoder of this config, except
    ``encoder.trainable`` and ``encoder.lr_multiplier``: train with a frozen encoder first, then fine-tune."""
    set: tuple[str, ...] = ()
    """Overrides of that config, such as ``decoder.standardise=false``."""


class MemberConfig(Settings):
    """Another run in the ensemble."""

    run: Path
    """Its run directory."""
    config: str
    """Config that trains the run when it is missing. It inherits data, text, features and encoder of this config."""
    set: tuple[str, ...] = ()
    """Overrides of that config, such as ``seed=2``."""
    encoders: tuple[int, ...] | None = None
    """Indices of the encoders that the member uses, counted from 0; null for all."""


class RootConfig(Settings):
    """What a training of any kind needs: images and captions, and the encoders that read images."""

    kind: ClassVar[str]
    """What is trained: ``captioner`` or ``embedding``."""

    seed: Annotated[int, Scope.SEED] = Field(default=1, ge=0, lt=2**32)
    """Seed of the initial weights, the order of training images and dropout."""
    data: Annotated[AnyDataset, Scope.DATA]
    """The images and captions."""
    text: Annotated[TextConfig, Scope.INPUT] = TextConfig()
    """How captions become tokens."""
    encoder: Annotated[Encoders, Scope.INPUT] = EncoderConfig()
    """The CNN, or a list of several CNNs whose features are joined."""
    features: Annotated[FeaturesConfig, Scope.FILES] = FeaturesConfig()
    """Feature extraction and the cache of features."""

    @field_validator("encoder")
    @classmethod
    def _check_encoders(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            if not value:
                raise ValueError("the list of encoders is empty")
            if len({encoder.output for encoder in value}) > 1:
                raise ValueError("all encoders in a list need the same output, pooled or grid")
            if len(value) > 1 and any(encoder.trainable for encoder in value):
                raise ValueError("trainable needs a single encoder: encoders of a list stay frozen")
        return value

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if len(self.encoders) > 1 and self.features.store is not None:
            raise ValueError("features.store is the store of one encoder, but there are several encoders: leave it out")
        return self

    @property
    def encoders(self) -> tuple[EncoderConfig, ...]:
        """The encoders whose features are joined; usually one."""
        return self.encoder if isinstance(self.encoder, tuple) else (self.encoder,)

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder is trained together with the model."""
        return bool(self.encoders[0].trainable)

    @property
    def stage_one(self) -> tuple[Path, StageOneConfig] | None:
        """The run whose weights the training starts from and the training that makes it, if the config names both."""
        return None

    @property
    def transferred_from(self) -> Path | None:
        """The run or export whose weights and encoders the training takes over, if any."""
        return None

    @property
    def extended_from(self) -> Path | None:
        """The run or export all of whose words the vocabulary keeps, if any."""
        return None

    def adapted_into(self, folders: Sequence[Path | None]) -> Self:
        """Returns this config with the folders of its adapted encoders replaced.

        Args:
            folders: One for each encoder; None leaves the encoder unchanged.
        """
        encoders = tuple(
            encoder.model_copy(
                update={"pretrain_on_words": encoder.pretrain_on_words.model_copy(update={"output": folder})}
            )
            if encoder.pretrain_on_words is not None and folder is not None
            else encoder
            for encoder, folder in zip(self.encoders, folders, strict=True)
        )
        return self.model_copy(update={"encoder": encoders if isinstance(self.encoder, tuple) else encoders[0]})


def check_mirrors(mirrored: object, text: TextConfig) -> None:
    """Raises ValueError if captions of mirrored images cannot be mirrored."""
    if mirrored and text.mode == "subword":
        raise ValueError("mirrored images need complete words, to swap left and right: text.mode subword has none")


def check_members(ensemble: Sequence[MemberConfig], count: int) -> None:
    """Raises ValueError if a member of an ensemble uses none of the ``count`` encoders, or others."""
    for member in ensemble:
        chosen = range(count) if member.encoders is None else member.encoders
        if not chosen or not all(0 <= number < count for number in chosen):
            raise ValueError(f"ensemble: {member.run} uses encoders {[*chosen]}, but there are {count}, counted from 0")


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


class OptimisationConfig(Settings):
    """What the trainings of captioners and of joint embeddings share."""

    epochs: int = Field(default=20, ge=1)
    """Maximum number of passes over the train split."""
    batch_size: int = Field(default=160, ge=1)
    """Captions in a batch. Captions of one image share its features. Lower it when memory runs out."""
    precision: Precision = "float32"
    """Compute precision; weights stay in float32. ``auto`` uses bfloat16 where it is faster on this machine (up to
    twice as fast), but float32 when the encoder is trained too, because that loses quality in bfloat16."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """``adamw`` only: decoupled weight decay, relative to the learning rate."""
    schedule: Literal["constant", "cosine", "onecycle", "plateau"] = "cosine"
    """``cosine`` decays to ``final_rate`` over ``epochs``. ``onecycle`` rises over the first 30 % of ``epochs``, then
    decays; it ignores ``warmup``. ``plateau`` multiplies the rate by ``plateau_factor`` when the dev score stalls."""
    warmup: float = Field(default=0.5, ge=0)
    """Epochs over which the rate rises linearly from zero; fractions are allowed."""
    final_rate: float = Field(default=0.01, ge=0, le=1)
    """Final rate of ``cosine`` and ``onecycle``, as a fraction of the peak."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """``plateau`` only: factor applied to the rate."""
    plateau_patience: int = Field(default=2, ge=1)
    """``plateau`` only: epochs without a better dev score before the rate is reduced."""
    clip_norm: float | None = Field(default=5.0, gt=0)
    """Maximum global norm of the gradient; null disables clipping. Lower it when the loss becomes NaN."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of an exponential moving average of the weights, such as 0.99. The average is scored on dev and
    saved as the checkpoint; null uses the last weights."""
    cached_crops: int = Field(default=0, ge=0, le=32)
    """Random crops cached for each training image, every other one mirrored. Their features are extracted once; each
    epoch uses either the image or one of its crops. Only for frozen encoders; trained ones use ``augment``."""
    flip_word_pairs: tuple[tuple[str, str], ...] = (("left", "right"),)
    """Pairs of words that are swapped in the captions of mirrored images. Set the pairs of your language."""
    checkpoint_every: Annotated[float | None, Scope.TRAINING_FILES] = Field(default=10.0, ge=0)
    """Minutes between saves of the training state within an epoch: the most that a killed process loses. ``0`` saves
    after every batch; null saves only at the end of an epoch."""
    patience: int | None = Field(default=5, ge=1)
    """Epochs without a better dev score before training stops; null trains all epochs."""

    def restart(self, run: Path) -> list[str]:
        """Returns the overrides with which another training starts from the best weights of a run; [] for no way."""
        return []


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
        return _metrics(info, value)[0]

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
    unloaded = (info.context or {}).get(UNLOADED, {})
    known = [name for name in names if ("metric", name) not in unloaded]
    try:
        canonical_names = dict(zip(known, canonical(known), strict=True)) if known or not names else {}
    except DataError as error:
        raise ValueError(str(error)) from error
    return tuple(canonical_names.get(name, name) for name in names)
