import pytest
from pydantic import ValidationError

from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.encoders import ENCODERS


def test_small_cnn_defaults_to_random_weights():
    assert EncoderConfig(type="small_cnn").weights == "none"
    assert EncoderConfig(type="small_cnn", weights="mine.weights.h5").weights == "mine.weights.h5"
    assert EncoderConfig().weights == "imagenet"


def test_default_size_comes_from_the_table():
    assert EncoderConfig(type="inception_v3").size == (299, 299)
    assert EncoderConfig(type="inception_v3", image_size=128).size == (128, 128)
    assert EncoderConfig(image_size=(160, 192)).size == (160, 192)
    assert EncoderConfig(type="custom", weights="m.keras").size is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "resnet51"}, "did you mean 'resnet50'"),
        ({"type": "small_cnn", "weights": "imagenet"}, "has no ImageNet weights"),
        ({"type": "custom"}, "PATH.keras"),
        ({"image_size": 4}, "not between 8 and 4096"),
        ({"image_size": (224, 100_000)}, "not between 8 and 4096"),
        ({"output": "both"}, "pooled"),
        ({"layers": "mixed8"}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        EncoderConfig(**wrong)


def test_a_saved_config_reads_back_the_same():
    for config in (EncoderConfig(type="small_cnn"), EncoderConfig(type="vgg16", layer="fc2", image_size=224)):
        assert EncoderConfig(**config.model_dump(mode="json")) == config
    assert FeaturesConfig(**FeaturesConfig().model_dump(mode="json")) == FeaturesConfig()


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("VGG16", "vgg16"),
        ("ResNet-50", "resnet50"),
        ("ResNet50V2", "resnet50_v2"),
        ("EfficientNetV2B0", "efficientnet_v2_b0"),
    ]
    + [("InceptionV3", "inception_v3"), ("Inception v3", "inception_v3"), ("ConvNeXt-Tiny", "convnext_tiny")],
)
def test_encoder_names_match_spellings_of_papers_and_keras(word, name):
    assert EncoderConfig(type=word) == EncoderConfig(type=name)


def test_every_encoder_is_found_by_its_keras_name():
    assert all(EncoderConfig(type=spec.application).type == name for name, spec in ENCODERS.items() if spec.application)


def test_every_spelling_of_small_cnn_defaults_to_random_weights():
    assert EncoderConfig(type="SmallCNN").weights == "none"
