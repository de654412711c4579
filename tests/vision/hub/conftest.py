import pytest

from tests.support.tiny_clip import save_tiny_clip


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    """The folder of a tiny CLIP preset; not to be changed."""
    pytest.importorskip("keras_hub", reason="needs capsmith[hub]")
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")
