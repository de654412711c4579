import pytest

from tests.support.tiny_clip import save_tiny_clip
from tests.support.tiny_hub import save_tiny


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    """The folder of a tiny CLIP preset; not to be changed."""
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="session")
def presets(tmp_path_factory, preset):
    """For each family the folder of a tiny preset, and its backbone; not to be changed."""
    from keras_hub.models import CLIPBackbone

    place = tmp_path_factory.mktemp("hub")
    made = {"clip": (preset, CLIPBackbone.from_preset(str(preset)))}
    for kind, changed in {
        "vit": {},
        "dinov2": {"num_register_tokens": 2},
        "dinov3": {"num_register_tokens": 3},
        "siglip": {},
    }.items():
        made[kind] = place / kind, save_tiny(kind, place / kind, **changed)
    return made
