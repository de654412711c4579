"""The largest difference between capsmith's preprocessing and that of the reference implementations.

    python -m benchmarks.hub_preprocessing [IMAGES …] [--images 60] [--write summary_part.json]

The reference are the image processors of transformers on Pillow, with the settings of the published models. Images are
photographs of the given folders in their own sizes, and the same ones saved as JPEG in odd sizes: tiny, very long, and
so large that a decoder could reduce them while it decodes. What is compared is what a network takes: capsmith reads the
file as a captioner of such an encoder does; the reference gets the decoded, upright image. Networks are tiny ones with
random weights. Needs torch, transformers and keras-hub.
"""

import argparse
import io
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

SHARED = Path(__file__).parents[2] / "shared"
ODD_SIZES = ((31, 97), (224, 224), (225, 449), (257, 256), (1999, 640), (3001, 2003), (4000, 300), (7, 9))
IN_FIGURE = ("CLIP", "ViT", "DINOv2", "BLIP")
"""The families whose maximum is ``hub.preprocess_maxdiff``."""
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
Prepare = Callable[[bytes], np.ndarray]
"""From the bytes of a file to what a network takes, (H, W, 3)."""


def main() -> None:
    """Prints the largest difference of each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=[SHARED / "photos", SHARED / "flickr8k" / "Images"])
    parser.add_argument("--images", type=int, default=60, help="photographs in their own sizes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    files = list(photographs(args.folders, args.images))
    with tempfile.TemporaryDirectory(prefix="capsmith-hub-") as folder:
        found = differences(files, Path(folder))
    for name, value in found.items():
        print(f"{name:22} {value:.2g}")
    figure = max(value for name, value in found.items() if name.split()[0] in IN_FIGURE)
    print(f"hub.preprocess_maxdiff {figure:.2g} ({len(files)} images)")
    if args.write:
        entry = {"value": float(f"{figure:.3g}"), "unit": "", "command": "python -m benchmarks.hub_preprocessing"}
        note = f"largest difference to transformers' processors on Pillow; CLIP, ViT, DINOv2, BLIP; {len(files)} images"
        args.write.write_text(json.dumps({"hub.preprocess_maxdiff": entry | {"note": note}}, indent=1) + "\n")


def photographs(folders: list[Path], count: int) -> Iterator[bytes]:
    """Yields the files of photographs in their own sizes, then in odd ones."""
    paths = [sorted(path for path in folder.iterdir() if path.is_file()) for folder in folders]
    several = [path for each in paths for path in random.Random(4).sample(each, min(len(each), count))][:count]
    contents = [path.read_bytes() for path in several]
    yield from contents
    for number, size in enumerate(ODD_SIZES):
        image = Image.open(io.BytesIO(contents[number % len(contents)])).convert("RGB")
        file, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 1 + number  # the orientation
        image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=92, exif=exif)
        yield file.getvalue()


def differences(files: list[bytes], folder: Path) -> dict[str, float]:
    """Returns the largest difference of each family, by name and pixels."""
    found = {}
    for name, (own, reference) in {**hub_pairs(folder), **blip_pair(folder)}.items():
        found[name] = max(float(np.abs(own(file) - reference(file)).max()) for file in files)
    return found


def hub_pairs(folder: Path) -> dict[str, tuple[Prepare, Prepare]]:
    """Returns capsmith's preprocessing and the reference's for presets as keras-hub publishes them."""
    from capsmith.models.external.blip import hide_broken_torchvision

    hide_broken_torchvision()
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    def square(side: int) -> dict[str, Any]:
        return {"size": {"height": side, "width": side}}

    def cut(shorter: int, side: int) -> dict[str, Any]:
        return {"size": {"shortest_edge": shorter}, "crop_size": {"height": side, "width": side}}

    processors = {
        ("CLIP", 224): CLIPImageProcessorPil(**cut(224, 224)),
        ("CLIP", 336): CLIPImageProcessorPil(**cut(336, 336)),
        ("ViT", 224): ViTImageProcessorPil(**square(224)),
        ("ViT", 384): ViTImageProcessorPil(**square(384)),
        ("DINOv2", 224): BitImageProcessorPil(**cut(256, 224), **IMAGENET),
        ("SigLIP", 224): SiglipImageProcessorPil(**square(224)),
        ("SigLIP", 384): SiglipImageProcessorPil(**square(384)),
    }
    return {
        f"{family} {side}": (capsmiths(family, side, folder), references(processor))
        for (family, side), processor in processors.items()
    }


def blip_pair(folder: Path) -> dict[str, tuple[Prepare, Prepare]]:
    """Returns capsmith's preprocessing and the reference's for BLIP with its 384 pixels."""
    from capsmith.models.external.blip_folder import read_blip
    from capsmith.vision.images import load_image
    from tests.support.toy_blip import make_blip

    blip = read_blip(make_blip(folder / "blip", side=384))
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    def own(file: bytes) -> np.ndarray:
        return blip.preprocess(load_image(file, blip.image_size)[None])[0].transpose(1, 2, 0)

    return {"BLIP 384": (own, references(BlipImageProcessorPil(size={"height": 384, "width": 384})))}


def references(processor: Any) -> Prepare:
    """Returns the preprocessing of an image processor of transformers."""

    def prepare(file: bytes) -> np.ndarray:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
        return np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0]).transpose(1, 2, 0)

    return prepare


def capsmiths(family: str, side: int, folder: Path) -> Prepare:
    """Returns capsmith's preprocessing of a preset: loading of files, and the first layers of the encoder."""
    import keras

    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder
    from capsmith.vision.images import load_image

    preset = save_published(family, side, folder / f"{family}_{side}")
    encoder = build_encoder(EncoderConfig(type="hub", preset=str(preset)))
    assert tuple(encoder.image_size) == (side, side)
    scaling = keras.Model(encoder.model.inputs, encoder.model.get_layer("scaling").output)

    def prepare(file: bytes) -> np.ndarray:
        pixels = load_image(file, encoder.image_size)
        return np.asarray(scaling.predict_on_batch(pixels[None]))[0]

    return prepare


def save_published(family: str, side: int, folder: Path) -> Path:
    """Saves a tiny preset whose image converter is that of the published ones, as keras-hub's conversion makes it."""
    import keras_hub

    models, converters = keras_hub.models, keras_hub.layers
    blocks = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    images = {"patch_size": 14 if family == "DINOv2" else 16, "image_shape": (side, side, 3)}
    text = {"vocabulary_size": 20, "embedding_dim": 8, "intermediate_dim": 8, "max_sequence_length": 8}
    half = [0.5] * 3, [0.5] * 3
    openai = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    if family == "CLIP":
        tower = models.CLIPVisionEncoder(intermediate_dim=8, **images, **blocks)
        backbone = models.CLIPBackbone(tower, models.CLIPTextEncoder(**text, **blocks), projection_dim=8)
        made, statistics = converters.CLIPImageConverter, openai
    elif family == "SigLIP":
        tower = models.SigLIPVisionEncoder(intermediate_dim=8, **images, **blocks)
        backbone = models.SigLIPBackbone(tower, models.SigLIPTextEncoder(**text, **blocks))
        made, statistics = converters.SigLIPImageConverter, half
    elif family == "ViT":
        backbone = models.ViTBackbone(mlp_dim=8, **images, **blocks)
        made, statistics = converters.ViTImageConverter, half
    else:  # published for 518 pixels, used with 224
        images["image_shape"] = (518, 518, 3)
        backbone = models.DINOV2Backbone(intermediate_dim=8, position_embedding_shape=(518, 518), **images, **blocks)
        made, statistics = converters.DINOV2ImageConverter, (IMAGENET["image_mean"], IMAGENET["image_std"])
    backbone.save_to_preset(str(folder))
    mean, std = statistics
    scale, offset = [1 / 255 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
    made(image_size=(side, side), scale=scale, offset=offset).save_to_preset(str(folder))
    return folder


if __name__ == "__main__":
    main()
