"""The families of image encoders that ``encoder.type: hub`` takes: their classes in keras-hub, and their preprocessing.

Preprocessing is that of the image processors of transformers 5 on Pillow, with the settings of the published models:
``CLIPImageProcessorPil``, ``ViTImageProcessorPil``, ``BitImageProcessorPil`` for DINOv2, ``SiglipImageProcessorPil``.
DINOv3 has a processor on torchvision only; its settings are used with Pillow's filter. The image converters of
keras-hub resize without antialiasing unless a preset says otherwise, so of them only mean and deviation are used.
"""

from dataclasses import dataclass
from typing import Literal

from capsmith.vision.framing import Resize
from capsmith.vision.hub.numbers import Blocks, ClipText, ClipVision, Dino2, Dino3, SiglipText, SiglipVision, Tower, Vit
from capsmith.vision.hub.presets import PresetKind
from capsmith.vision.hub.scaling import HALF, IMAGENET, OPENAI, Statistics


@dataclass(frozen=True)
class Family:
    """A kind of image encoder.

    Attributes:
        title: Its name for people.
        backbone: Class in ``keras_hub.models`` that a preset's ``config.json`` names.
        vision: The numbers of its image encoder.
        resample: Filter that brings images to their size.
        statistics: Mean and deviation of pixels if a preset has no image converter.
        crop: How an image is cut: ``whole`` is stretched; ``centre`` is resized until its shorter side fits, and its
            centre is cut out; ``inner`` resizes the shorter side to 8/7 of the size first, as 256 is to 224.
        tower: Class of the image encoder if the backbone has a text encoder too.
        text: The numbers of that text encoder.
        largest: Largest default side of images in pixels; None for the preset's own.
        any_size: Whether other sizes than the preset's can be set.
        leading_pooled: Whether the pooled output is the first token; otherwise it is the output of an attention head.
    """

    title: str
    backbone: str
    vision: type[Tower]
    resample: Literal["bicubic", "bilinear"]
    statistics: Statistics
    crop: Literal["whole", "centre", "inner"] = "whole"
    tower: str | None = None
    text: type[Blocks] | None = None
    largest: int | None = None
    any_size: bool = False
    leading_pooled: bool = True

    def framing(self, side: int, crops: bool) -> Resize:
        """Returns how images are brought to a size.

        Args:
            side: Height and width in pixels.
            crops: Whether the preset's image converter keeps the aspect ratio. Only CLIP's says what it was trained on.
        """
        if self.crop == "whole" or (self.crop == "centre" and not crops):
            return Resize(self.resample)
        return Resize(self.resample, side if self.crop == "centre" else side * 8 // 7)


FAMILIES = {
    family.backbone: family
    for family in (
        Family("CLIP", "CLIPBackbone", ClipVision, "bicubic", OPENAI, "centre", "CLIPVisionEncoder", ClipText),
        Family("ViT", "ViTBackbone", Vit, "bilinear", HALF),
        Family("DINOv2", "DINOV2Backbone", Dino2, "bicubic", IMAGENET, "inner", largest=224, any_size=True),
        Family("DINOv3", "DINOV3Backbone", Dino3, "bilinear", IMAGENET, largest=224, any_size=True),
        Family(
            "SigLIP",
            "SigLIPBackbone",
            SiglipVision,
            "bicubic",
            HALF,
            tower="SigLIPVisionEncoder",
            text=SiglipText,
            leading_pooled=False,
        ),
    )
}
"""By the class that ``config.json`` names."""

KIND = PresetKind("encoder.preset: ", "preset of an image encoder", tuple(FAMILIES))
"""The presets of all families."""
