"""Settings of the encoder and of the feature cache."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from capsmith.core.schema import ONE, SEVERAL, Precision, Settings, nearest
from capsmith.core.scopes import Scope
from capsmith.vision.encoders import ENCODERS


class PretrainOnWordsConfig(Settings):
    """Fine-tuning of an encoder to predict the words of the training captions, before its features are extracted."""

    renamed: ClassVar[Mapping[str, str]] = {"into": "output", "min_pictures": "min_images"}

    output: Annotated[Path, Scope.FILES]
    """Folder of the adapted encoder. It is created when missing, and shared by all configs that name it."""
    after: str | None = None
    """Name of the last frozen layer: the layers after it are trained. By default these are the network's last block."""
    epochs: int = Field(default=4, ge=1)
    """Passes over the training images. The pass with the highest average precision on dev is kept."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Initial learning rate of the encoder's layers; it decays to zero along a half cosine."""
    batch_size: int = Field(default=50, ge=2)
    """Images in a batch."""
    min_images: int = Field(default=20, ge=1)
    """Words that occur in the captions of fewer training images than this are not predicted."""
    seed: int = Field(default=0, ge=0)
    """Seed of order, dropout and mirroring."""


class EncoderConfig(Settings):
    """The CNN that turns an image into features."""

    renamed: ClassVar[Mapping[str, str]] = {"rate": "lr_multiplier", "adapt": "pretrain_on_words"}

    type: str = "resnet50"
    """A name from ``capsmith list encoders``."""
    weights: Annotated[str, Scope.FILES] = "imagenet"
    """``imagenet`` (downloads once), ``none`` (random), or the path of a Keras weights file or ``.keras`` model."""
    layer: str | None = None
    """The layer to cut at; by default the encoder's last one before its classifier."""
    output: Literal["pooled", "grid"] = "pooled"
    """``pooled`` is one vector (D,) an image; ``grid`` keeps the regions (L, D), for attention."""
    image_size: int | tuple[int, int] | None = None
    """Images are resized to this (height, width); by default what the encoder was trained on."""
    preprocess: Literal["caffe", "tf", "torch", "unit", "none"] | None = None
    """Pixel scaling; by default the encoder's own. ``tf``: [-1, 1]; ``unit``: [0, 1]; ``none``: 0–255."""
    trainable: Annotated[bool | Literal["last_block", "all"], Scope.FINE_TUNING] = False
    """Train the encoder together with the decoder: all of it (true), or its last block alone; its batch norm stays as
    it is, and no features are cached."""
    lr_multiplier: Annotated[float | None, Scope.FINE_TUNING] = Field(default=None, gt=0, le=1)
    """Learning rate of a trained encoder relative to the decoder's; by default 0.1, or 1 with random weights."""
    pretrain_on_words: PretrainOnWordsConfig | None = None
    """Fine-tune the encoder's last layers to predict the words of the captions first; features are then extracted with
    the adapted encoder."""

    @model_validator(mode="before")
    @classmethod
    def _own_default(cls, values: Any) -> Any:
        """A network that exists only untrained, such as our own small CNN, begins so by default."""
        if isinstance(values, dict) and isinstance(values.get("type"), str):
            name = ENCODERS.find(values["type"])
            if name is not None and not ENCODERS[name].pretrained:
                return {"weights": "none", **values}
        return values

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if (name := ENCODERS.find(value)) is None:
            raise ValueError(f"'{value}' is not known{nearest(value, ENCODERS)} (see: capsmith list encoders)")
        return name

    @field_validator("image_size")
    @classmethod
    def _sensible(cls, value: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = value if isinstance(value, tuple) else (value,)
        if any(side is not None and not 8 <= side <= 4096 for side in sides):
            raise ValueError(f"{value} is not between 8 and 4096 pixels")
        return value

    @model_validator(mode="after")
    def _weights_exist_for(self) -> "EncoderConfig":
        if not ENCODERS[self.type].pretrained and self.weights == "imagenet":
            raise ValueError(f"{self.type} has no ImageNet weights: say weights: none, or the path of a weights file")
        if self.type == "custom" and not self.weights.endswith(".keras"):
            raise ValueError("type custom needs weights: PATH.keras, a whole Keras model")
        if self.pretrain_on_words is not None and (self.type == "custom" or self.trainable):
            said = "a custom encoder" if self.type == "custom" else "trainable: true"
            raise ValueError(
                f"pretrain_on_words is for frozen encoders of the list (capsmith list encoders), not for {said}"
            )
        return self

    @property
    def learning_rate_multiplier(self) -> float:
        """The encoder's learning rate relative to the decoder's: ``lr_multiplier``, or its default."""
        if self.lr_multiplier is not None:
            return self.lr_multiplier
        return 1.0 if self.weights == "none" else 0.1

    @property
    def origin(self) -> str:
        """Where the weights come from: the adapted ones', or ``weights``."""
        return (
            self.weights
            if self.pretrain_on_words is None
            else str(self.pretrain_on_words.output / "encoder.weights.h5")
        )

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the input; None where only a custom model's own file says it."""
        if self.image_size is None:
            return ENCODERS[self.type].size
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)


def _one_or_several(value: Any) -> str:
    return SEVERAL if isinstance(value, list | tuple) else ONE


Encoders = Annotated[
    Annotated[EncoderConfig, Tag(ONE)] | Annotated[tuple[EncoderConfig, ...], Tag(SEVERAL)],
    Discriminator(_one_or_several),
]
"""One encoder, or a list of them whose features are joined."""


class FeaturesConfig(Settings):
    """Extraction and its cache."""

    cache: Path = Path("cache")
    """Folder of the feature stores; each store carries the fingerprint of its encoder in its name."""
    store: Path | None = None
    """Use exactly this store, and stop with an error when another encoder made it; or a pickle of features made
    elsewhere, ``{image_id: array}``, such as ``old_features.pkl``: then no image is needed to train."""
    batch_size: int = Field(default=32, ge=1)
    """Images a batch."""
    workers: int = Field(default=2, ge=1)
    """Threads that decode images."""
    precision: Precision = "auto"
    """What the CNN calculates in; ``auto`` is bfloat16 where this machine is faster with it."""
    max_broken: float = Field(default=0.01, ge=0, le=1)
    """Largest share of images that may be unreadable, or lack features in a pickle, before it is an error."""

    @property
    def pickle(self) -> Path | None:
        """The pickle that ``store`` names; None where it names a folder, or nothing."""
        if self.store is None or self.store.is_dir():
            return None
        return self.store if self.store.suffix.lower() in _PICKLES or self.store.exists() else None


_PICKLES = (".pkl", ".pickle")


def require_given(features: FeaturesConfig, encoders: Sequence[EncoderConfig], learns: bool, views: int) -> None:
    """Checks that a config asks for nothing that a pickle of features cannot give.

    Args:
        features: Its ``store`` is a pickle.
        encoders: Of the config.
        learns: Whether an encoder learns with the decoder.
        views: Cropped views of each image.

    Raises:
        ValueError: It does.
    """
    what = f"features.store: {features.store} is a pickle of features made before"
    if learns:
        raise ValueError(f"{what}, so its encoder cannot learn: leave encoder.trainable out")
    if any(encoder.pretrain_on_words for encoder in encoders):
        raise ValueError(f"{what}, so its encoder cannot be adapted: leave encoder.pretrain_on_words out")
    if views:
        raise ValueError(f"{what}, and has none of other views of the images: leave training.cached_crops out")
