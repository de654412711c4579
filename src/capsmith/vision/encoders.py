"""The table of encoders: network, image size and pixel scaling.

This module does not import Keras, so ``capsmith list encoders`` and ``capsmith validate`` are fast. ``networks.py``
builds the networks. Another network of ``keras.applications`` needs one more line below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from capsmith.core.tables import RegistrationError, Table

Preprocess = Literal["caffe", "tf", "torch", "clip", "lite", "unit", "none"]


def pixel_scaling(mode: Preprocess) -> tuple[list[float], list[float]]:
    """Returns factor and offset of each channel of pixels 0–255. For ``caffe``, channels are blue, green, red."""
    if mode in ("torch", "clip"):
        mean, std = (
            ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            if mode == "torch"
            else ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
        )
        return [1 / 255 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
    scale, *offset = {
        "caffe": (1.0, -103.939, -116.779, -123.68),
        "tf": (1 / 127.5, -1.0, -1.0, -1.0),
        "lite": (1 / 128, *[-127 / 128] * 3),
        "unit": (1 / 255, 0.0, 0.0, 0.0),
        "none": (1.0, 0.0, 0.0, 0.0),
    }[mode]
    return [scale] * 3, offset


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder.

    Attributes:
        name: Name in a config (``encoder.type``).
        application: Function of ``keras.applications`` that builds the network; None for other networks.
        size: Height and width in pixels on which it was trained; None if only its file specifies them.
        preprocess: ``caffe``: BGR minus ImageNet's mean colour; ``tf``: [-1, 1]; ``torch``: [0, 1], then ImageNet's
            mean and deviation; ``clip``: CLIP's mean and deviation; ``lite``: (x − 127) / 128; ``unit``: [0, 1];
            ``none``: 0–255, which the network scales itself.
        layer: Default layer whose output is used; None is the last layer before the classifier.
        description: Line for ``capsmith list encoders``: D, and the purpose.
        pooling: How a grid becomes one vector: its ``mean``, or mean and maximum concatenated. ``own``: the pooled
            output is no function of the grid.
        block: Layer before the last block, the block that is fine-tuned; None if the config must name it.
        build: Function that builds a registered network, see ``register_encoder``; None for other networks.
        pretrained: Whether pretrained weights exist (``weights: imagenet``).
    """

    name: str
    application: str | None
    size: tuple[int, int] | None
    preprocess: Preprocess
    layer: str | None
    description: str
    pooling: Literal["mean", "mean_max", "own"] = "mean"
    block: str | None = None
    build: Callable[[tuple[int, int], str | None], Any] | None = None
    pretrained: bool = True


def _network(
    name: str, application: str, side: int, preprocess: Preprocess, description: str, block: str | None = None
) -> EncoderSpec:
    return EncoderSpec(name, application, (side, side), preprocess, None, description, block=block)


_LAST_OF_CONV4 = {50: "conv4_block6_out", 101: "conv4_block23_out", 152: "conv4_block36_out"}


_V1_SIDES = (224, 240, 260, 300, 380, 456, 528, 600)
_V1_CHANNELS = (1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560)
_V2_SIDES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "s": 384, "m": 480, "l": 480}
_V2_CHANNELS = {"b0": 1280, "b1": 1280, "b2": 1408, "b3": 1536, "s": 1280, "m": 1280, "l": 1280}

_SPECS = (
    *(
        _network(f"resnet{depth}", f"ResNet{depth}", 224, "caffe", f"2048-d; residual network, {depth} layers", block)
        for depth, block in _LAST_OF_CONV4.items()
    ),
    *(
        _network(f"resnet{depth}_v2", f"ResNet{depth}V2", 224, "tf", f"2048-d; pre-activation, {depth} layers", block)
        for depth, block in _LAST_OF_CONV4.items()
    ),
    _network("vgg16", "VGG16", 224, "caffe", "512-d; `layer: fc2` gives the classic 4096-d vector", "block4_pool"),
    _network("vgg19", "VGG19", 224, "caffe", "512-d; `layer: fc2` gives the classic 4096-d vector", "block4_pool"),
    _network("inception_v3", "InceptionV3", 299, "tf", "2048-d; the encoder of Show and Tell", "mixed7"),
    _network("xception", "Xception", 299, "tf", "2048-d; separable convolutions"),
    _network("mobilenet_v2", "MobileNetV2", 224, "tf", "1280-d; small and fast on a CPU", "block_12_add"),
    *(
        _network(
            f"efficientnet_b{n}",
            f"EfficientNetB{n}",
            _V1_SIDES[n],
            "none",
            f"{_V1_CHANNELS[n]}-d; scales pixels itself",
        )
        for n in range(8)
    ),
    *(
        _network(
            f"efficientnet_v2_{n}",
            f"EfficientNetV2{n.upper()}",
            _V2_SIDES[n],
            "none",
            f"{_V2_CHANNELS[n]}-d; scales pixels itself",
        )
        for n in _V2_SIDES
    ),
    _network("densenet121", "DenseNet121", 224, "torch", "1024-d; densely connected", "pool4_pool"),
    _network("convnext_tiny", "ConvNeXtTiny", 224, "none", "768-d; scales pixels itself"),
    _network("convnext_small", "ConvNeXtSmall", 224, "none", "768-d; scales pixels itself"),
    _network("convnext_base", "ConvNeXtBase", 224, "none", "1024-d; scales pixels itself"),
    EncoderSpec(
        "small_cnn",
        application=None,
        size=(96, 96),
        preprocess="tf",
        layer=None,
        description="256-d; for training end to end on small images (trainable: true)",
        pooling="mean_max",
        block="block4_out",
        pretrained=False,
    ),
    EncoderSpec(
        "efficientnet_lite2",
        application=None,
        size=(260, 260),
        preprocess="lite",
        layer=None,
        description="1280-d; small, most accurate per megabyte; weights: a file",
        block="stage5_block4_add",
        pretrained=False,
    ),
    EncoderSpec(
        "onnx",
        application=None,
        size=None,
        preprocess="none",
        layer=None,
        description="the frozen encoder of an export, or an ONNX file of another program (weights: PATH.onnx)",
        pooling="own",
        pretrained=False,
    ),
    EncoderSpec(
        "hub",
        application=None,
        size=None,
        preprocess="none",
        layer=None,
        description="CLIP, ViT, DINOv2, DINOv3 or SigLIP of keras-hub (preset: NAME or FOLDER; capsmith[hub])",
        pooling="own",
        pretrained=False,
    ),
    EncoderSpec("custom", None, None, "none", None, "a custom Keras model (weights: PATH.keras)"),
)

ENCODERS: Table[EncoderSpec] = Table("encoder")
"""All encoders by name, in the order of ``capsmith list encoders``."""
ENCODERS.update({spec.name: spec for spec in _SPECS})


def register_encoder(
    name: str,
    description: str,
    size: tuple[int, int],
    preprocess: Preprocess = "none",
    layer: str | None = None,
    pooling: Literal["mean", "mean_max"] = "mean",
    block: str | None = None,
    pretrained: bool = False,
) -> Callable[[Callable[[tuple[int, int], str | None], Any]], Callable[[tuple[int, int], str | None], Any]]:
    """Returns a decorator that registers the function that builds an encoder.

    The function takes the (height, width) of the images and the initial weights: ``"imagenet"`` for its pretrained
    weights, or None. It returns a Keras model from preprocessed pixels (B, H, W, 3) to a grid (B, rows, columns, D),
    to regions (B, L, D), or to vectors (B, D). Import Keras inside the function: configs are validated without Keras.

    Args:
        name: Name in a config (``encoder.type``).
        description: One line for ``capsmith list encoders``.
        size: Default height and width in pixels.
        preprocess: Pixel scaling, see ``EncoderSpec``.
        layer: Default layer whose output is used.
        pooling: How a grid becomes one vector, see ``EncoderSpec``.
        block: Layer before the last block, for ``pretrain_on_words`` and ``trainable: last_block``.
        pretrained: Whether the function accepts ``"imagenet"``.

    Raises:
        RegistrationError: The name is taken, or an argument is invalid.
    """
    if preprocess not in get_args(Preprocess):
        raise RegistrationError(f"encoder '{name}': unknown preprocess {preprocess!r:.80}")
    sides = size if isinstance(size, tuple) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and 8 <= side <= 4096 for side in sides):
        raise RegistrationError(f"encoder '{name}': size {size!r:.80} is not (height, width) in pixels")

    def register(build: Callable[[tuple[int, int], str | None], Any]) -> Callable[[tuple[int, int], str | None], Any]:
        spec = EncoderSpec(name, None, size, preprocess, layer, description, pooling, block, build, pretrained)
        ENCODERS.add(name, spec, build.__module__)
        return build

    return register
