"""Settings of the decoders."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from capsmith.core.registry import Registry
from capsmith.core.schema import Settings
from capsmith.core.scopes import Scope


class EmbeddingConfig(Settings):
    """The word vectors."""

    size: int = Field(default=256, ge=1)
    """Dimensions of a word vector; must equal the file's when ``vectors`` is given."""
    vectors: Annotated[Path | None, Scope.TRAINING_FILES] = None
    """A GloVe text file (a word and its numbers on each line); words that it lacks start random."""
    trainable: Annotated[bool, Scope.TRAINING] = True
    """Train the vectors further, or keep them as they are."""


class DecoderConfig(Settings):
    """What all decoders share."""

    type: str
    """A name from ``capsmith list decoders``."""
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    units: int = Field(default=512, ge=1)
    """Width of the recurrent state (U)."""
    layers: int = Field(default=1, ge=1, le=8)
    """Recurrent layers, one on the other."""
    layer_norm: bool = False
    """Normalise the gates' inputs and the cell state (Ba et al. 2016)."""
    dropout: Annotated[float, Scope.TRAINING] = Field(default=0.3, ge=0, lt=1)
    """Dropout on word vectors, features and the layer before the vocabulary."""
    standardise: bool = False
    """Bring every channel of the features to mean 0 and deviation 1 over the training images."""
    channel_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Share of the feature channels hidden, the same in all regions of an image (Tompson et al. 2015): what plain
    dropout hides in one region another one still shows."""
    variational: Annotated[bool, Scope.TRAINING] = False
    """Drop the same channels at every word of a sentence (Gal and Ghahramani 2016), instead of others at each."""
    word_dropout: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0, lt=1)
    """Share of the words read in training that are hidden behind ``<unk>`` (Bowman et al. 2016)."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    """The word vectors."""
    tie_embeddings: bool = False
    """Use the word vectors as the output layer too (Press and Wolf 2017)."""


DECODERS = Registry("decoder", DecoderConfig)


@DECODERS.register("capsmith.models.decoders.merge:Merge")
class MergeConfig(DecoderConfig):
    """The LSTM reads the words alone; the image joins after it (Tanti et al. 2018, "merge")."""

    type: Literal["merge"] = "merge"
    join: Literal["add", "concat", "multiply"] = "add"
    """How words and image meet."""


@DECODERS.register("capsmith.models.decoders.inject:Inject")
class InjectConfig(DecoderConfig):
    """The LSTM sees the image (Show and Tell, Vinyals et al. 2015, and its variants)."""

    type: Literal["inject"] = "inject"
    mode: Literal["init", "pre", "par"] = "init"
    """``init``: as first state; ``pre``: as a word before the first; ``par``: beside every word."""


class AttendConfig(DecoderConfig):
    """What the decoders with attention share."""

    attention: Literal["additive", "multihead"] = "multihead"
    """How regions are scored: by a small network (Bahdanau et al. 2015) or by products (Vaswani et al. 2017)."""
    attention_units: int = Field(default=512, ge=1)
    """Width of the attention (A)."""
    heads: int = Field(default=8, ge=1)
    """Only for ``multihead``: A is split into so many."""
    refine: bool = False
    """Attention on attention: weigh the answer by the question (Huang et al. 2019)."""
    doubly_stochastic: Annotated[float, Scope.TRAINING] = Field(default=0.0, ge=0)
    """Weight of the loss that asks for every region to be looked at over a sentence (Xu et al. 2015, eq. 14)."""

    @model_validator(mode="after")
    def _divisible(self) -> "AttendConfig":
        if self.attention == "multihead" and self.attention_units % self.heads:
            raise ValueError(f"attention_units {self.attention_units} cannot be split into {self.heads} heads")
        return self

    @property
    def answer_width(self) -> int:
        """Channels of what attention answers."""
        return self.units if self.refine or self.attention == "additive" else self.attention_units


@DECODERS.register("capsmith.models.decoders.attention:Attention")
class AttentionConfig(AttendConfig):
    """An LSTM that looks at the regions anew for every word (Show, Attend and Tell, Xu et al. 2015)."""

    type: Literal["attention"] = "attention"
    attention: Literal["additive", "multihead"] = "additive"
    """How regions are scored: by a small network (Bahdanau et al. 2015) or by products (Vaswani et al. 2017)."""
    gate: bool = True
    """Let the state say how much of the context counts (Xu et al. 2015, sec. 4.2.1)."""


@DECODERS.register("capsmith.models.decoders.attention:UpDown")
class UpDownConfig(AttendConfig):
    """Two LSTMs, one that asks the image and one that writes (top-down attention, Anderson et al. 2018)."""

    type: Literal["updown"] = "updown"

    @model_validator(mode="after")
    def _two_layers(self) -> "UpDownConfig":
        if self.layers != 1:
            raise ValueError("updown has its two recurrences always: leave layers out")
        return self


@DECODERS.register("capsmith.models.decoders.attention:AttentionOnAttention")
class AttentionOnAttentionConfig(AttendConfig):
    """An LSTM whose state asks after every word, and whose refined answer is the output (Huang et al. 2019)."""

    type: Literal["aoa"] = "aoa"
    refine: bool = True
    """Attention on attention: weigh the answer by the question (Huang et al. 2019)."""
    feedback: bool = True
    """Let the recurrence read the answer before; without, all words ask at once, in two thirds of the time."""
