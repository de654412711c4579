"""From a JPEG file to features, against transformers: keras-hub converts the models of some families."""

import io

import numpy as np
import pytest
from PIL import Image

from capsmith.models.external.blip import hide_broken_torchvision
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.images import load_image
from tests.vision.hub.test_preprocessing import photograph

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 224}


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    pytest.importorskip("torch", reason="compares with transformers")
    hide_broken_torchvision()
    return pytest.importorskip("transformers", reason="compares with transformers")


@pytest.mark.parametrize("kind", ["vit", "dinov2", "registers"])
def test_features_of_a_photograph_are_those_of_transformers(transformers, kind, tmp_path):
    import keras_hub
    import torch
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    if kind == "vit":
        config = transformers.ViTConfig(**SIZES, intermediate_size=24, patch_size=16, layer_norm_eps=1e-6)
        model, leading = transformers.ViTForImageClassification(config), 1
        processor, converter = ViTImageProcessorPil(), keras_hub.layers.ViTImageConverter
        mean, std = [0.5] * 3, [0.5] * 3
    else:
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        processor, converter = BitImageProcessorPil(size={"shortest_edge": 256}), keras_hub.layers.DINOV2ImageConverter
        processor.image_mean, processor.image_std = mean, std
        if kind == "dinov2":
            model, leading = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES, patch_size=14)), 1
        else:
            config = transformers.Dinov2WithRegistersConfig(**SIZES, patch_size=14, num_register_tokens=3)
            model, leading = transformers.Dinov2WithRegistersModel(config), 4
    model = model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(str(tmp_path / "theirs"))
    keras_hub.models.Backbone.from_preset(str(tmp_path / "theirs")).save_to_preset(str(tmp_path / "preset"))
    converter(
        image_size=(224, 224),
        scale=[1 / 255 / s for s in std],
        offset=[-m / s for m, s in zip(mean, std, strict=True)],
    ).save_to_preset(str(tmp_path / "preset"))
    file = photograph(701, 503)
    pixels = processor(images=Image.open(io.BytesIO(file)), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        tokens = getattr(model, "vit", model)(pixels).last_hidden_state[0].numpy()
    for output, expected in (("grid", tokens[leading:]), ("pooled", tokens[0])):
        encoder = build_encoder(EncoderConfig(type="hub", preset=str(tmp_path / "preset"), output=output))
        found = encoder.encode(load_image(file, encoder.image_size)[None])[0]
        np.testing.assert_allclose(found, expected, atol=2e-4)
