import sys
import time
from pathlib import Path

import pytest

from capsmith.core.errors import ConfigError, MissingExtraError
from capsmith.models.clip.preset import CLIP
from capsmith.models.embedders import load_embedder
from capsmith.vision.hub import presets

NAME = "clip_vit_base_patch32"


@pytest.fixture
def hub(monkeypatch):
    """kagglehub without network: a test sets ``hub.serve``."""
    pytest.importorskip("keras_hub", reason="needs capsmith[clip]")
    import kagglehub

    class Hub:
        asked: list[tuple[str, str]] = []

        def serve(self, file):
            raise ConnectionError("HTTPSConnectionPool: Max retries exceeded\nwith url: /v1/models")

    fake = Hub()
    fake.asked = []

    def model_download(handle, path=None, **options):
        fake.asked.append((handle, path))
        return fake.serve(path)

    monkeypatch.setattr(kagglehub, "model_download", model_download)
    return fake


def test_a_preset_is_fetched_file_by_file_and_loaded(hub, preset, capsys):
    def serve(file):
        print("Warning: Looks like you're using an outdated `kagglehub` version")
        if not (preset / file).exists():
            raise FileNotFoundError("404 Client Error")
        return str(preset / file)

    hub.serve = serve
    clip = load_embedder(engine=f"clip:{NAME}")
    assert clip.name == f"clip:{NAME}" and clip.embed_texts(["dog"]).shape == (1, clip.size)
    assert {handle.rsplit("/", 1)[0] for handle, _ in hub.asked} == {f"keras/clip/keras/{NAME}"}
    assert ("model.weights.h5") in {file for _, file in hub.asked}
    assert capsys.readouterr().out == ""  # standard output is for results


def test_without_network_the_error_is_one_line(hub):
    with pytest.raises(ConfigError) as error:
        load_embedder(engine=f"clip:{NAME}")
    message = str(error.value)
    assert "\n" not in message and NAME in message and "docs/clip.md" in message and len(hub.asked) == 1


def test_a_server_that_does_not_answer_is_given_up(hub, monkeypatch):
    monkeypatch.setattr(presets, "PATIENCE", 0.1)
    hub.serve = lambda file: time.sleep(5)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"0\.1 s"):
        load_embedder(engine=f"clip:{NAME}")
    assert time.monotonic() - start < 3


def test_a_name_that_no_preset_has_is_answered_with_the_nearest(hub):
    with pytest.raises(ConfigError, match=NAME):
        load_embedder(engine="clip:clip_vit_base_patch3")
    assert hub.asked == []


def test_weights_in_parts_are_fetched_completely(hub, preset, tmp_path):
    parts = {f"model_0000{i}.weights.h5" for i in range(2)}
    (tmp_path / "model.weights.json").write_text(
        '{"weight_map": {"/a": "model_00000.weights.h5", "/b": ["model_00000.weights.h5", "model_00001.weights.h5"]}}'
    )

    def serve(file):
        if file == "model.weights.h5":
            raise FileNotFoundError("404 Client Error")
        return str((tmp_path if file == "model.weights.json" else preset) / file)

    hub.serve = serve
    assert presets.fetch_preset(NAME, CLIP) == Path(preset)
    assert parts <= {file for _, file in hub.asked}


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(MissingExtraError, match=r"capsmith\[clip\]"):
        load_embedder(engine=f"clip:{NAME}")
