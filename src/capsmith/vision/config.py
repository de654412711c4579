"""Settings of the encoder and of the feature cache."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from capsmith.core.schema import ONE, SEVERAL, Precision, Settings
from capsmith.core.scopes import Scope
from capsmith.core.spelling import nearest
from capsmith.core.starter import STARTER, starter_folder
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.encoders import ENCODERS, Preprocess

_PICKLES = (".pkl", ".pickle")


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
    """Images per batch."""
    min_images: int = Field(default=20, ge=1)
    """Words that occur in the captions of fewer training images than this are not predicted."""
    seed: int = Field(default=0, ge=0)
    """Seed of order, dropout and mirroring."""


class EncoderConfig(Settings):
    """The CNN that turns an image into features."""

    renamed: ClassVar[Mapping[str, str]] = {"rate": "lr_multiplier", "adapt": "pretrain_on_words"}

    type: str = "resnet50"
    """Name of the network; ``capsmith list encoders`` lists them. ``custom`` is a custom Keras model, ``onnx``
    the frozen encoder of an export, ``hub`` an image encoder of keras-hub such as CLIP."""
    weights: Annotated[str, Scope.FILES] = "imagenet"
    """Initial weights: ``imagenet`` (downloaded once), ``none`` (random), or the path of a Keras weights file or
    ``.keras`` model. For ``type: onnx`` the path of an export's encoder, or ``starter``, the encoder of the model that
    comes with capsmith; or with ``preprocess`` an image encoder that another program wrote."""
    preset: Annotated[str | None, Scope.FILES] = None
    """For ``type: hub`` the name of a preset of keras-hub (downloaded once), such as ``clip_vit_base_patch32``,
    ``dinov2_base`` or ``vit_base_patch16_224_imagenet``, or the folder of a preset. CLIP, ViT, DINOv2, DINOv3 and
    SigLIP are supported, each with its own preprocessing."""
    layer: str | None = None
    """Layer whose output becomes the features; by default the last one before the classifier. Earlier layers have more
    regions and preserve more spatial detail. For ``type: onnx`` with ``preprocess`` the name of an output."""
    output: Literal["pooled", "grid"] = "pooled"
    """``pooled``: one vector (D,) per image; ``grid``: one vector per region, (L, D), which attention decoders need.
    The regions of ``type: hub`` are its patches."""
    image_size: int | tuple[int, int] | None = None
    """Input size in pixels, one number or (height, width), 8 to 4096; by default the size that the encoder was trained
    on. Larger images give more regions and take longer."""
    preprocess: Preprocess | None = None
    """Pixel scaling; by default the encoder's own. ``caffe``: BGR minus ImageNet's mean; ``tf``: [-1, 1]; ``torch``:
    ImageNet's mean and deviation; ``clip``: CLIP's; ``lite``: (x − 127) / 128; ``unit``: [0, 1]; ``none``: 0–255.
    Set it for weights trained with another scaling, for ``custom`` models that do not scale pixels themselves, and for
    an ONNX file of another program (with ``clip``, its images are also cut as CLIP's are)."""
    trainable: Annotated[bool | Literal["last_block", "all"], Scope.FINE_TUNING] = False
    """Train the encoder together with the decoder: ``true`` or ``all`` trains all of it, ``last_block`` only its last
    block. Pretrained batch norm statistics stay fixed, and no features are cached."""
    lr_multiplier: Annotated[float | None, Scope.FINE_TUNING] = Field(default=None, gt=0, le=1)
    """Learning rate of a trained encoder relative to the decoder's; by default 0.1, or 1 with random weights."""
    pretrain_on_words: PretrainOnWordsConfig | None = None
    """Fine-tune the encoder's last layers to predict the words of the captions first; features are then extracted with
    the adapted encoder."""

    @model_validator(mode="before")
    @classmethod
    def _default_weights(cls, values: Any) -> Any:
        """Networks without pretrained weights, such as the small CNN, default to random weights."""
        if isinstance(values, dict) and isinstance(values.get("type"), str):
            name = ENCODERS.find(values["type"])
            if name is not None and not ENCODERS[name].pretrained:
                return {"weights": "none", **values}
        return values

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if (name := ENCODERS.find(value)) is None:
            raise ValueError(
                f"'{value}' is not a known encoder{nearest(value, ENCODERS)} (see: capsmith list encoders)"
            )
        return name

    @field_validator("image_size")
    @classmethod
    def _check_size(cls, value: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = value if isinstance(value, tuple) else (value,)
        if any(side is not None and not 8 <= side <= 4096 for side in sides):
            raise ValueError(f"{value} is not between 8 and 4096 pixels")
        return value

    @model_validator(mode="after")
    def _check_weights(self) -> "EncoderConfig":
        if not ENCODERS[self.type].pretrained and self.weights == "imagenet":
            raise ValueError(f"{self.type} has no ImageNet weights: set weights: none, or the path of a weights file")
        if self.type == "custom" and not self.weights.endswith(".keras"):
            raise ValueError("type custom needs weights: PATH.keras, a complete Keras model")
        if self.type == "onnx":
            self._check_onnx()
        if self.type == "hub":
            self._check_hub()
        elif self.preset is not None:
            raise ValueError(f"preset belongs to type: hub, not {self.type}: remove it, or set type: hub")
        if self.pretrain_on_words is not None and (self.type == "custom" or self.trainable):
            conflict = "type: custom" if self.type == "custom" else f"trainable: {self.trainable}".lower()
            raise ValueError(f"pretrain_on_words needs a frozen built-in encoder, but {conflict} is set: remove one")
        return self

    def _check_onnx(self) -> None:
        """Refuses settings that need the network's layers, which an ONNX file does not have."""
        if not (self.weights.endswith(".onnx") or self.weights == STARTER):
            raise ValueError(f"type onnx needs weights: PATH.onnx, the encoder of an export, or weights: {STARTER}")
        for name in ("trainable", "pretrain_on_words"):
            if getattr(self, name):
                raise ValueError(f"type onnx is a frozen encoder: remove {name}")
        for name in ("layer", "image_size"):
            if getattr(self, name) and not self.preprocess:
                raise ValueError(
                    f"type onnx without preprocess is the encoder of an export, which has its own {name}: remove it, "
                    "or set preprocess for an ONNX file of another program"
                )
        if self.preprocess and self.weights == STARTER:
            raise ValueError("the starter's encoder has its own preprocessing: remove preprocess")

    def _check_hub(self) -> None:
        """Refuses settings that a frozen encoder with its own preprocessing does not take."""
        if not (self.preset or "").strip():
            raise ValueError("type hub needs preset: NAME or FOLDER, such as clip_vit_base_patch32")
        if self.weights != "none":
            raise ValueError("type hub has the weights of its preset: remove weights, and set preset: NAME or FOLDER")
        for name in ("trainable", "pretrain_on_words", "layer", "preprocess"):
            if getattr(self, name):
                raise ValueError(f"type hub is a frozen encoder with its own preprocessing: remove {name}")

    @property
    def learning_rate_multiplier(self) -> float:
        """The encoder's learning rate relative to the decoder's: ``lr_multiplier``, or its default."""
        if self.lr_multiplier is not None:
            return self.lr_multiplier
        return 1.0 if self.weights == "none" else 0.1

    @property
    def title(self) -> str:
        """The encoder for people: its type, with the preset of ``hub``."""
        return self.type if self.preset is None else f"{self.type} {Path(self.preset).name}"

    @property
    def origin(self) -> str:
        """Source of the weights: ``weights``, the file of the encoder pretrained on words, or the preset."""
        if self.preset is not None:
            return self.preset
        if self.type == "onnx" and self.weights == STARTER:
            return str(EncoderFolder(starter_folder()).exported)
        if self.pretrain_on_words is None:
            return self.weights
        return str(EncoderFolder(self.pretrain_on_words.output).weights)

    @property
    def requested_size(self) -> tuple[int, int] | None:
        """Height and width of the input, if ``image_size`` is set."""
        return (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the input; None if only a file knows it: a custom model, an export, or a preset."""
        return None if self.type in ("hub", "onnx") else self.requested_size or ENCODERS[self.type].size


def _one_or_several(value: Any) -> str:
    return SEVERAL if isinstance(value, list | tuple) else ONE


Encoders = Annotated[
    Annotated[EncoderConfig, Tag(ONE)] | Annotated[tuple[EncoderConfig, ...], Tag(SEVERAL)],
    Discriminator(_one_or_several),
]
"""One encoder, or a list of them whose features are joined."""


class FeaturesConfig(Settings):
    """Extraction of features, and their cache."""

    renamed: ClassVar[Mapping[str, str]] = {"max_broken": "max_bad_fraction"}

    cache: Path = Path("cache")
    """Folder of the feature stores. The name of each store contains the fingerprint of its encoder."""
    store: Path | None = None
    """Use exactly this store instead of one in ``cache``; another encoder's store is an error. Or a pickle of features
    from elsewhere, ``{image_id: array}``, such as ``old_features.pkl``: training then needs no images."""
    batch_size: int = Field(default=32, ge=1)
    """Images per batch of the CNN. Lower it when memory runs out."""
    workers: int = Field(default=2, ge=1)
    """Number of threads that decode images."""
    precision: Precision = "auto"
    """Precision of the CNN. ``auto`` times both and uses bfloat16 if it is faster on this machine."""
    max_bad_fraction: float = Field(default=0.01, ge=0, le=1)
    """Largest fraction of images, 0 to 1, that may be unreadable or lack features in a pickle. Such images are
    skipped; a larger fraction is an error."""

    @field_validator("cache", "store", mode="before")
    @classmethod
    def _local(cls, value: Any) -> Any:
        if isinstance(value, str) and "://" in value:
            raise ValueError(f"{value} is remote, and features are read row by row: name a local or mounted folder")
        return value

    @property
    def pickle(self) -> Path | None:
        """The pickle in ``store``; None if ``store`` is a folder or not set."""
        if self.store is None or self.store.is_dir():
            return None
        return self.store if self.store.suffix.lower() in _PICKLES or self.store.exists() else None


def require_pickle_suffices(
    features: FeaturesConfig, encoders: Sequence[EncoderConfig], trains_encoder: bool, cached_crops: int
) -> None:
    """Checks that a config whose features come from a pickle needs no other features.

    Args:
        features: Settings whose ``store`` is a pickle.
        encoders: The config's encoders.
        trains_encoder: Whether an encoder is trained together with the decoder.
        cached_crops: Number of cached crops of each image.

    Raises:
        ValueError: Another setting needs images.
    """
    pickle = f"features.store: {features.store} is a pickle of features"
    if trains_encoder:
        raise ValueError(f"{pickle}, so the encoder cannot be trained: remove encoder.trainable")
    if any(encoder.pretrain_on_words for encoder in encoders):
        raise ValueError(f"{pickle}, so the encoder cannot be pretrained: remove encoder.pretrain_on_words")
    if cached_crops:
        raise ValueError(f"{pickle}, which has no features of crops: remove training.cached_crops")
