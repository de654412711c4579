"""Settings of the training and evaluation of joint embeddings."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope
from capsmith.models.decoders.config import EmbeddingConfig
from capsmith.models.embedding.config import JointEmbeddingConfig
from capsmith.training.common.config import MemberConfig, OptimisationConfig, RootConfig, check_mirrors


class EmbeddingTrainingConfig(OptimisationConfig):
    """How the joint space is learned. The captions of an image, and of its copies, are never each other's negatives."""

    loss: Literal["infonce", "hinge"] = "infonce"
    """``infonce``: cross-entropy of the right caption among those of the batch, and of the right image (van den Oord et
    al. 2018; Radford et al. 2021). ``hinge``: the right pair must beat wrong ones by ``margin`` (Faghri et al. 2018,
    VSE++)."""
    temperature: float = Field(default=0.05, ge=0.01, le=10)
    """``infonce`` only: divides cosines before the softmax."""
    learn_temperature: bool = False
    """``infonce`` only: train the temperature too, from this value; it stays at 0.01 or more."""
    margin: float = Field(default=0.2, gt=0, le=2)
    """``hinge`` only: the difference of cosines that is required."""
    negatives: Literal["hardest", "all"] = "hardest"
    """``hinge`` only: learn from the hardest negative of the batch in each direction, or from the mean of all."""
    text_to_image: float = Field(default=0.5, ge=0, le=1)
    """Weight of finding the image for a caption; finding the caption for an image has the rest."""
    captions_per_image: int = Field(default=1, ge=1, le=100)
    """Captions of an image in a batch."""
    batch_size: int = Field(default=512, ge=2)
    """Captions in a batch, whose images are each other's negatives: larger batches have more of them. Lower it when
    memory runs out."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    epochs: int = Field(default=15, ge=1)
    """Maximum number of passes over the captions of the train split."""
    metric: Literal["recall", "i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"] = "recall"
    """Dev metric that selects the best epoch and drives ``patience`` and ``plateau``. ``recall`` is the mean of recall
    at 1, 5 and 10 of captions for an image (``i2t``) and of images for a caption (``t2i``)."""

    @model_validator(mode="after")
    def _whole_images(self) -> "EmbeddingTrainingConfig":
        if self.batch_size < 2 * self.captions_per_image:
            raise ValueError("a batch needs two images: raise batch_size, or lower captions_per_image")
        return self


class RetrievalConfig(Settings):
    """How retrieval is measured."""

    after_training: Literal["test", "dev"] | None = "test"
    """Split that ``train`` scores and reports at the end; null for none."""
    examples: int = Field(default=40, ge=0)
    """Queries shown in the report: half of them images and half captions, best and worst of each."""
    shown: int = Field(default=5, ge=1, le=100)
    """Results shown for each of them."""


class EmbeddingRunConfig(RootConfig):
    """The complete settings of the training of a joint embedding."""

    kind: ClassVar[str] = "embedding"
    words_key: ClassVar[str] = "embedding.text.words"

    embedding: Annotated[JointEmbeddingConfig, Scope.MODEL]
    """The joint space of images and texts."""
    training: Annotated[EmbeddingTrainingConfig, Scope.TRAINING] = EmbeddingTrainingConfig()
    """How the model is trained."""
    evaluation: Annotated[RetrievalConfig, Scope.EVALUATION] = RetrievalConfig()
    """How retrieval is measured."""
    ensemble: Annotated[tuple[MemberConfig, ...], Scope.DECODING] = ()
    """Runs that form an ensemble with this one when retrieval is measured after training. Missing runs are trained."""

    @model_validator(mode="after")
    def _check_sections(self) -> "EmbeddingRunConfig":
        if self.features.pickle is not None:
            raise ValueError("features.store is a pickle, but a joint embedding needs the encoder: leave it out")
        if self.trains_encoder:
            raise ValueError(
                "encoder.trainable: the encoder of a joint embedding is frozen; pretrain_on_words adapts it"
            )
        if self.embedding.image.pooling == "attention" and self.encoders[0].output != "grid":
            raise ValueError("embedding.image.pooling attention needs regions: set encoder.output to grid")
        check_mirrors(self.training.cached_crops, self.text)
        if any(member.encoders is not None for member in self.ensemble):
            raise ValueError("ensemble: the members of a joint embedding have the same encoders: leave encoders out")
        return self

    @property
    def dev_metric(self) -> str:
        """The dev score that selects the best epoch, as the history names it."""
        return self.training.metric

    @property
    def words(self) -> EmbeddingConfig:
        """The settings of the word vectors."""
        return self.embedding.text.words

    def components(self) -> Iterable[tuple[str, str]]:
        """Yields the components that this config names, by kind and name: those that a plugin can provide."""
        yield "dataset", self.data.type
        yield from (("encoder", name) for name in dict.fromkeys(encoder.type for encoder in self.encoders))
