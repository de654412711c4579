"""Settings of the decoders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope


class EmbeddingConfig(Settings):
    """The word vectors."""

    size: int = Field(default=256, ge=1)
    """Dimensions of a word vector. With ``vectors`` it must equal the dimensions in the file."""
    vectors: Annotated[Path | None, Scope.TRAINING_FILES] = None
    """GloVe text file with initial vectors (each line a word and its numbers). Other words are initialised randomly."""
    trainable: Annotated[bool, Scope.TRAINING] = True
    """Train the vectors. Set to false to keep those of ``vectors`` unchanged, for small datasets."""


class DecoderConfig(Settings):
    """Settings of all decoders."""

    renamed: ClassVar[Mapping[str, str]] = {"channel_dropout": "spatial_dropout"}

    type: str
    """A name from ``capsmith list decoders``."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    units: int = Field(default=512, ge=1)
    """Units of each recurrent layer (U)."""
    layers: int = Field(default=1, ge=1, le=8)
    """Number of stacked recurrent layers, 1 to 8."""
    layer_norm: bool = False
    """Layer normalisation of the gates and the cell state (Ba et al. 2016)."""
    dropout: Annotated[float, Scope.TRAINING] = Field(default=0.3, ge=0, lt=1)
    """Dropout rate of word vectors, image features and the input of the output layer, 0 to 1. Raise it if the dev score
    falls while the training loss still falls."""
    standardise: bool = False
    """Scale every feature channel to mean 0 and deviation 1 over the training images. Only for frozen encoders."""
    spatial_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Rate at which feature channels are dropped in all regions of an image at once (Tompson et al. 2015).
    Plain dropout has little effect on neighbouring regions with similar features."""
    variational: Annotated[bool, Scope.TRAINING] = False
    """Use one dropout mask for all words of a caption (Gal and Ghahramani 2016), not a new one at each word."""
    word_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Rate at which input words are replaced by ``<unk>`` in training (Bowman et al. 2016), 0 to 1."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    """The word vectors."""
    tie_embeddings: bool = False
    """Share the word vectors with the output layer (Press and Wolf 2017). Saves parameters for large vocabularies."""


DECODERS = Registry("decoder", DecoderConfig)


@DECODERS.register("capsmith.models.decoders.merge:Merge")
class MergeConfig(DecoderConfig):
    """The LSTM reads only words; its output is combined with the image (Tanti et al. 2018, "merge")."""

    renamed: ClassVar[Mapping[str, str]] = {**DecoderConfig.renamed, "join": "fusion"}

    type: Literal["merge"] = "merge"
    fusion: Literal["add", "concat", "multiply"] = "add"
    """How the outputs of words and image are combined."""


@DECODERS.register("capsmith.models.decoders.inject:Inject")
class InjectConfig(DecoderConfig):
    """The image is an input of the LSTM (Show and Tell, Vinyals et al. 2015, and variants)."""

    type: Literal["inject"] = "inject"
    mode: Literal["init", "pre", "par"] = "init"
    """Where the image enters: ``init``, initial state; ``pre``, a word before the first; ``par``, at every word."""


class AttendConfig(DecoderConfig):
    """Settings of all decoders with attention."""

    attention: Literal["additive", "multihead"] = "multihead"
    """How regions are scored: by a small network (Bahdanau et al. 2015) or by products (Vaswani et al. 2017)."""
    attention_units: int = Field(default=512, ge=1)
    """Width of the attention (A)."""
    heads: int = Field(default=8, ge=1)
    """Only for ``multihead``: number of heads, which must divide ``attention_units``."""
    refine: bool = False
    """Attention on attention: gate the context by the query (Huang et al. 2019)."""
    doubly_stochastic: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0)
    """Weight of the loss that encourages attention to every region (Xu et al. 2015, eq. 14); 0 is off."""

    @model_validator(mode="after")
    def _divisible(self) -> "AttendConfig":
        if self.attention == "multihead" and self.attention_units % self.heads:
            raise ValueError(f"attention_units {self.attention_units} cannot be split into {self.heads} heads")
        return self

    @property
    def answer_width(self) -> int:
        """Channels of the context."""
        return self.units if self.refine or self.attention == "additive" else self.attention_units


@DECODERS.register("capsmith.models.decoders.attention:Attention")
class AttentionConfig(AttendConfig):
    """An LSTM that attends to the regions at every word (Show, Attend and Tell, Xu et al. 2015)."""

    type: Literal["attention"] = "attention"
    attention: Literal["additive", "multihead"] = "additive"
    """How regions are scored: by a small network (Bahdanau et al. 2015) or by products (Vaswani et al. 2017)."""
    gate: bool = True
    """Gate the context by the state (Xu et al. 2015, sec. 4.2.1)."""


@DECODERS.register("capsmith.models.decoders.attention:UpDown")
class UpDownConfig(AttendConfig):
    """Two LSTMs: one forms the query, one writes the caption (top-down attention, Anderson et al. 2018)."""

    type: Literal["updown"] = "updown"

    @model_validator(mode="after")
    def _two_layers(self) -> "UpDownConfig":
        if self.layers != 1:
            raise ValueError("updown always has two recurrent layers: leave layers out")
        return self


@DECODERS.register("capsmith.models.decoders.attention:AttentionOnAttention")
class AttentionOnAttentionConfig(AttendConfig):
    """An LSTM whose state after each word is the query; the refined context is the output (Huang et al. 2019)."""

    renamed: ClassVar[Mapping[str, str]] = {**DecoderConfig.renamed, "feedback": "input_feeding"}

    type: Literal["aoa"] = "aoa"
    refine: bool = True
    """Attention on attention: gate the context by the query (Huang et al. 2019)."""
    input_feeding: bool = True
    """Feed the previous context to the recurrence. Without it all words attend in one call, and training takes two
    thirds of the time."""
