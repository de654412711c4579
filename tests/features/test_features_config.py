import pytest
from pydantic import ValidationError

from capsmith.features.config import EncoderConfig, FeaturesConfig


def test_small_cnn_needs_no_weights_to_be_named():
    assert EncoderConfig(type="small_cnn").weights == "none"
    assert EncoderConfig(type="small_cnn", weights="mine.weights.h5").weights == "mine.weights.h5"
    assert EncoderConfig().weights == "imagenet"


def test_size_is_the_table_s_unless_given():
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
