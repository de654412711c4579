"""The encoder in a run directory: saving, loading, damage, and full disks."""

import errno
import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoder import build_encoder
from capsmith.vision.saved_encoder import load_encoder, save_encoder

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)


def small(**more):
    return EncoderConfig(**({"type": "small_cnn"} | more))


@pytest.fixture
def trained_weights(tmp_path):
    """A weight file of small_cnn, used like that of a pretrained network."""
    path = tmp_path / "elsewhere" / "trained.weights.h5"
    path.parent.mkdir()
    build_encoder(small()).core.save_weights(path)
    return path


@pytest.mark.parametrize("trained", [False, True])
def test_a_saved_encoder_loads_without_the_original_weights(trained_weights, tmp_path, trained):
    settings = small(weights=str(trained_weights), layer="block4_out", trainable=trained)
    encoder = build_encoder(settings)
    if trained:
        variable = encoder.model.trainable_variables[0]
        variable.assign(np.asarray(variable) + 0.1)
    save_encoder(encoder, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "encoder.json",
        "encoder.weights.h5",
    ]
    trained_weights.unlink()
    again = load_encoder(settings, tmp_path / "run")
    np.testing.assert_allclose(again.encode(PIXELS), encoder.encode(PIXELS), atol=1e-6)
    assert again.feature_shape == encoder.feature_shape
    assert (again.fingerprint == encoder.fingerprint) is not trained  # training changed the weights


def test_saving_again_replaces_the_encoder(tmp_path):
    for _ in range(2):
        save_encoder(build_encoder(small()), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_run_directory_is_one_error(tmp_path):
    save_encoder(build_encoder(small()), tmp_path)
    with pytest.raises(CheckpointError, match=r"\(output: pooled instead of grid\)"):
        load_encoder(small(output="grid"), tmp_path)
    whole = (tmp_path / "encoder.weights.h5").read_bytes()
    (tmp_path / "encoder.weights.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError) as found:
        load_encoder(small(), tmp_path)
    assert "\n" not in str(found.value)
    (tmp_path / "encoder.weights.h5").unlink()
    with pytest.raises(CheckpointError, match="encoder.weights.h5"):
        load_encoder(small(), tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps([]))
    with pytest.raises(CheckpointError, match="incomplete"):
        load_encoder(small(), tmp_path)
    (tmp_path / "encoder.json").unlink()
    with pytest.raises(CheckpointError, match="cannot read"):
        load_encoder(small(), tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_while_saving_is_one_line_and_keeps_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    encoder = build_encoder(small())
    save_encoder(encoder, tmp_path)
    before = (tmp_path / "encoder.weights.h5").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(CheckpointError, match="cannot write .*encoder.weights.h5"):
            save_encoder(encoder, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "encoder.weights.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def no_space(file, start, size):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("allocates", [True, False], ids=["posix", "elsewhere"])
def test_a_full_disk_is_detected_before_writing(allocates, tmp_path, monkeypatch):
    if allocates:
        monkeypatch.setattr(os, "posix_fallocate", no_space, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(CheckpointError, match="cannot write .*encoder.weights.h5: No space left on device"):
        save_encoder(build_encoder(small()), tmp_path)
    assert not list(tmp_path.iterdir())
