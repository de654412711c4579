"""Settings that all trainings share: the inputs of a model, its ensemble, and optimisation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from capsmith.core.registry import OneOf
from capsmith.core.schema import Precision, Settings
from capsmith.core.scopes import Scope
from capsmith.data.datasets import DATASETS, DatasetConfig
from capsmith.data.text.config import TextConfig
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
    words_key: ClassVar[str]
    """The key of the settings of word vectors."""

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
    def weights_from(self) -> Path | None:
        """The run of the same model whose weights the training starts from, if any."""
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


class OptimisationConfig(Settings):
    """What the trainings of captioners and of joint embeddings share."""

    epochs: int = Field(default=20, ge=1)
    """Maximum number of passes over the train split."""
    batch_size: int = Field(default=160, ge=1)
    """Captions in a batch. Captions of one image share its features. Lower it when memory runs out."""
    shuffle_window: int | None = Field(default=None, ge=1)
    """Images within which an epoch is shuffled; null shuffles all. Set it when the features are larger than memory: an
    epoch then reads them nearly in sequence, in runs of a sixteenth of the window that are in random order."""
    distribute: Annotated[Literal["none", "auto"], Scope.FILES] = "none"
    """``auto`` divides each batch among all GPUs of this machine (or the CPU devices, if there are several); ``none``
    uses one device. ``batch_size`` is the batch of all devices together, so the result is that of one device and the
    learning rate stays. When you raise ``batch_size`` to fill more devices, raise ``learning_rate`` with its square
    root (Adam: Malladi et al. 2022; the linear rule of Goyal et al. 2017 is for SGD), and keep ``warmup``."""
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
