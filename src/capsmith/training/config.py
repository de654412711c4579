"""Settings of training and evaluation."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from capsmith.core.errors import DataError
from capsmith.core.registry import UNLOADED
from capsmith.core.schema import Precision, Settings
from capsmith.core.scopes import Scope
from capsmith.metrics.names import canonical
from capsmith.vision.augment import AugmentConfig


class TrainingConfig(Settings):
    """How the decoder is trained."""

    objective: Literal["cross_entropy", "scst"] = "cross_entropy"
    """``cross_entropy`` imitates the references word by word; ``scst`` then trains for CIDEr-D itself, by the model's
    own captions (self-critical training, Rennie et al. 2017), and needs ``start``."""
    start: Annotated[Path | None, Scope.TRAINING_FILES] = None
    """Begin with the weights of this run, which has the same encoder, decoder and words."""
    start_config: str | None = None
    """When ``start`` is not there yet, train it first by this config, on this one's data, words, encoder, seed; only
    whether the encoder learns (``trainable``, ``rate``) is the first one's own: frozen first, then fine-tuned."""
    start_set: tuple[str, ...] = ()
    """Changes of ``start_config``, such as ``decoder.standardise=false``."""
    init: Path | None = None
    """Begin with what this run knows, on other data: the words that both have keep their vectors, new ones are
    learned. It has the same encoder, and a decoder of the same sizes."""
    samples: int = Field(default=5, ge=1, le=1_000)
    """Only for ``scst``: captions drawn for each image."""
    baseline: Literal["others", "greedy"] = "others"
    """Only for ``scst``: a caption is rewarded for beating the mean of the image's other samples (Luo 2020), or the
    greedy caption (Rennie et al. 2017)."""
    bleu_weight: float = Field(default=0.0, ge=0)
    """Only for ``scst``: how much of BLEU-4 is added to the reward of CIDEr-D."""
    epochs: int = Field(default=20, ge=1)
    """Most passes over the train split."""
    batch_size: int = Field(default=160, ge=1)
    """Captions a batch; the captions of one image stay together and share its features."""
    precision: Precision = "float32"
    """What is calculated in while it learns. ``auto`` is bfloat16 where this machine is faster with it, up to twice as
    fast; but float32 where an encoder learns too, which loses by bfloat16."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """The peak rate."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Only for ``adamw``."""
    schedule: Literal["constant", "cosine", "onecycle", "plateau"] = "cosine"
    """``cosine`` falls to ``final_rate`` over ``epochs``; ``onecycle`` first climbs over 30 % of them, whatever
    ``warmup`` says; ``plateau`` divides when the dev score stands still."""
    warmup: float = Field(default=0.5, ge=0)
    """Epochs over which the rate climbs from zero."""
    final_rate: float = Field(default=0.01, ge=0, le=1)
    """Last rate of ``cosine``, as a share of the peak."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """What ``plateau`` multiplies the rate by."""
    plateau_patience: int = Field(default=2, ge=1)
    """Epochs without a better dev score before ``plateau`` acts."""
    clip_norm: float | None = Field(default=5.0, gt=0)
    """Largest global gradient norm; null leaves gradients as they are."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decode and keep a running mean of the weights that follows by ``1 - ema`` a step; null keeps the last ones."""
    views: int = Field(default=0, ge=0, le=32)
    """Random views of every training image beside the image itself: crops, every other one mirrored. Each is
    extracted once; an epoch shows each image in one of them."""
    augment: AugmentConfig | None = None
    """Only for an encoder that is trained: show its images varied. ``{}`` takes the defaults."""
    mirror_words: tuple[tuple[str, str], ...] = (("left", "right"),)
    """Words that exchange their places in the captions of a mirrored image."""
    scheduled_sampling: float = Field(default=0.0, ge=0, le=1)
    """Share of words read that are the model's own by the last epoch, rising from none (Bengio et al. 2015)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target probability spread evenly over the vocabulary."""
    metric: str = "cider"
    """The dev metric that chooses the best checkpoint."""
    checkpoint_every: Annotated[float | None, Scope.TRAINING_FILES] = Field(default=10.0, ge=0)
    """Minutes after which the state is saved within an epoch too: a process that is killed loses no more than these.
    ``0`` saves after every batch, null only at the end of an epoch."""
    patience: int | None = Field(default=5, ge=1)
    """Stop after so many epochs without a better dev score; null trains all epochs."""

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        return _metrics(info, value)[0]

    @model_validator(mode="after")
    def _complete(self) -> "TrainingConfig":
        if self.objective == "scst" and self.start is None:
            raise ValueError("scst goes on from a trained model: set start to a run trained with cross_entropy")
        if self.init is not None and self.start is not None:
            raise ValueError("init takes a run of other words, start one of the same: leave one of them out")
        if self.start_config is not None and self.start is None:
            raise ValueError("start_config trains the run that start names: set start too")
        if self.start_set and self.start_config is None:
            raise ValueError("start_set changes start_config: name that config too")
        if self.objective == "scst" and self.baseline == "others" and self.samples < 2:
            raise ValueError("the baseline of the others needs samples of 2 or more")
        return self


class MemberConfig(Settings):
    """Another run whose captioner writes along."""

    run: Path
    """Its directory."""
    config: str
    """What trains it when it is not there; it gets this config's data, text, features and encoder."""
    set: tuple[str, ...] = ()
    """Changes of that config, such as ``seed=2``."""
    encoders: tuple[int, ...] | None = None
    """Which of the encoders it looks through, by their places in the list; null for all."""


class EvaluationConfig(Settings):
    """What ``evaluate`` measures."""

    metrics: tuple[str, ...] = ("bleu", "rouge", "cider")
    """Names from ``capsmith list metrics``."""
    tokeniser: Literal["coco", "simple", "char"] | None = None
    """How captions are split for scoring; by default ``coco``, or ``char`` where ``text.mode`` is ``char``."""
    after_training: Literal["test", "dev"] | None = "test"
    """The split that ``train`` scores and reports when it is done; null for none."""
    batch_size: int = Field(default=128, ge=1, le=10_000)
    """Images decoded together, at most: fewer where many beams or samples of a large vocabulary would take too much
    memory. No caption depends on it."""
    examples: int = Field(default=60, ge=0)
    """Images shown in the report, best and worst first."""

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return _metrics(info, *value)


def _metrics(info: ValidationInfo, *words: str) -> tuple[str, ...]:
    """Returns the names that words mean; those of plugins that are not loaded stay as they are."""
    unloaded = (info.context or {}).get(UNLOADED, {})
    known = [word for word in words if ("metric", word) not in unloaded]
    try:
        names = dict(zip(known, canonical(known), strict=True)) if known or not words else {}
    except DataError as error:
        raise ValueError(str(error)) from error
    return tuple(names.get(word, word) for word in words)
