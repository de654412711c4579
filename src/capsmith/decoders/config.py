"""Settings of the decoders."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from capsmith.registry import Registry
from capsmith.schema import Settings

DECODERS = Registry("decoder")


class EmbeddingConfig(Settings):
    """The word vectors."""

    size: int = Field(default=256, ge=1)
    """Dimensions of a word vector; must equal the file's when ``vectors`` is given."""
    vectors: Path | None = None
    """A GloVe text file (a word and its numbers on each line); words that it lacks start random."""
    trainable: bool = True
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
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Dropout on word vectors, features and the layer before the vocabulary."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    """The word vectors."""
    tie_embeddings: bool = False
    """Use the word vectors as the output layer too (Press and Wolf 2017)."""


@DECODERS.register("capsmith.decoders.merge:Merge")
class MergeConfig(DecoderConfig):
    """The LSTM reads the words alone; the picture joins after it (Tanti et al. 2018, "merge")."""

    type: Literal["merge"] = "merge"
    join: Literal["add", "concat", "multiply"] = "add"
    """How words and picture meet."""


@DECODERS.register("capsmith.decoders.inject:Inject")
class InjectConfig(DecoderConfig):
    """The LSTM sees the picture (Show and Tell, Vinyals et al. 2015, and its variants)."""

    type: Literal["inject"] = "inject"
    mode: Literal["init", "pre", "par"] = "init"
    """``init``: as first state; ``pre``: as a word before the first; ``par``: beside every word."""
