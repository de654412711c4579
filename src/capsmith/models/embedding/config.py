"""Settings of a joint embedding: the network of images and the network of texts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope
from capsmith.models.decoders.config import EmbeddingConfig


class ImageHeadConfig(Settings):
    """The network that maps the features of an image to the joint space. Channels are standardised first."""

    pooling: Literal["mean", "max", "mean_max", "attention"] = "mean"
    """How the regions of a grid are pooled; features that are one vector need no pooling. ``mean`` and ``max`` keep
    pooled features in memory and train fastest; ``mean_max`` joins both; ``attention`` learns a weight for each region,
    and reads the grids in every epoch."""
    attention_units: int = Field(default=256, ge=1)
    """``attention`` only: width of the network that weighs regions."""
    hidden: int = Field(default=0, ge=0)
    """Units of a hidden layer beside the linear projection; 0 for none."""
    dropout: Annotated[float, Scope.TRAINING] = Field(default=0.5, ge=0, lt=1)
    """Dropout rate of feature channels. Raise it if the dev score falls while the training loss still falls."""
    hidden_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Dropout rate of the hidden layer."""


class TextHeadConfig(Settings):
    """Settings of both kinds of text networks."""

    words: EmbeddingConfig = EmbeddingConfig(size=300)
    """The word vectors; 300 dimensions if the section is left out."""
    dropout: Annotated[float, Scope.TRAINING] = Field(default=0.2, ge=0, lt=1)
    """Dropout rate of the vector of a text before its projection to the joint space."""
    word_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.1, ge=0, lt=1)
    """Rate at which words become ``<unk>`` in training, 0 to 1; a bag of words alone leaves them out."""


class BagOfWordsConfig(TextHeadConfig):
    """The sum of word vectors, divided by the root of their number: fast, and blind to word order."""

    type: Literal["bag_of_words"] = "bag_of_words"
    """The kind of network."""
    hidden: int = Field(default=0, ge=0)
    """Units of a hidden layer beside the linear projection; 0 for none."""
    hidden_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Dropout rate of the hidden layer."""


class RecurrentConfig(TextHeadConfig):
    """A recurrent network over word vectors, pooled over the words."""

    type: Literal["recurrent"] = "recurrent"
    """The kind of network."""
    cell: Literal["lstm", "gru"] = "gru"
    """The recurrent cell."""
    units: int = Field(default=512, ge=1)
    """Units of each direction (U)."""
    bidirectional: bool = True
    """Read each text in both directions."""
    pooling: Literal["max", "mean", "last", "mean_max"] = "max"
    """How the outputs are pooled over words; ``last`` takes the last step of each direction."""
    bag_of_words: bool = True
    """Add a projection of the bag of words to the output, so that the recurrent network has only word order to
    learn."""


class ConvolutionalConfig(TextHeadConfig):
    """Convolutions over a few words and the bag of words: knows phrases, and trains nearly as fast as the bag alone.

    Each filter keeps its highest output over the words of a text (Kim 2014).
    """

    type: Literal["convolutional"] = "convolutional"
    """The kind of network."""
    widths: tuple[Annotated[int, Field(ge=1, le=9)], ...] = Field(default=(2, 3), min_length=1, max_length=8)
    """Numbers of words that filters see at once."""
    filters: int = Field(default=256, ge=1)
    """Filters of each width (F)."""

    @field_validator("widths")
    @classmethod
    def _different(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each width is given once")
        return tuple(sorted(value))


AnyTextHead = ConvolutionalConfig | RecurrentConfig | BagOfWordsConfig
"""The settings of a text network of any kind."""


class JointEmbeddingConfig(Settings):
    """The joint space of images and texts."""

    size: int = Field(default=512, ge=2, le=8_192)
    """Dimensions of the joint space (d)."""
    image: ImageHeadConfig = ImageHeadConfig()
    """The network of images."""
    text: Annotated[AnyTextHead, Field(discriminator="type")] = ConvolutionalConfig()
    """The network of texts: ``convolutional``, ``recurrent`` or ``bag_of_words``."""
