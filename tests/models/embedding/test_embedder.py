"""Trained runs as an embedder."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from capsmith import CheckpointError, ConfigError, load_embedder
from capsmith.models.run_config import run_config
from capsmith.vision.images import load_image
from tests.support import shapes


@pytest.fixture
def embedder(tiny_embedding):
    return load_embedder([tiny_embedding])


def pixels(embedder, names):
    (size,) = embedder.image_sizes
    return np.stack([load_image(shapes.data() / "images" / name, size) for name in names])


def test_images_and_texts(embedder):
    names = sorted(path.name for path in (shapes.data() / "images").iterdir())[:4]
    features = embedder.encode(pixels(embedder, names))
    images, texts = embedder.embed_features(features), embedder.embed_texts(["a red ball on the left", "", "xyzzy"])
    assert images.shape == (4, embedder.size) and texts.shape == (3, embedder.size)
    assert embedder.visual_vectors(features).shape == (4, embedder.visual_size)
    assert np.linalg.norm(np.concatenate([images, texts]), axis=1) == pytest.approx(1, abs=1e-5)
    assert (texts[1] == texts[2]).all()  # no known word: the vector of the unknown word
    assert embedder.bank.dtype == np.float16 and embedder.bank.shape == (72, embedder.size)


def test_unknown_words(embedder):
    assert embedder.unknown_words("A purple SQUARE, on the moon!") == ["purple", "moon"]


def test_an_ensemble_averages_cosines(tiny_embedding, embedder):
    both = load_embedder([tiny_embedding, tiny_embedding])
    names = ["a red ball on the left", "a blue box on the right"]
    one, two = embedder.embed_texts(names), both.embed_texts(names)
    assert two.shape[1] == both.size == 2 * embedder.size
    assert two @ two.T == pytest.approx(one @ one.T, abs=1e-5)
    assert both.fingerprint != embedder.fingerprint and both.bank.shape == (72, both.size)


def test_the_fingerprint_is_of_the_content(tiny_embedding, embedder, tmp_path):
    copy = shutil.copytree(tiny_embedding, tmp_path / "copy")
    assert load_embedder([copy]).fingerprint == embedder.fingerprint
    text = (copy / "config.yaml").read_text().replace("max_length: 12", "max_length: 11")
    (copy / "config.yaml").write_text(text)
    assert load_embedder([copy]).fingerprint != embedder.fingerprint


def test_texts_need_no_keras(tiny_embedding):
    code = (
        "import sys; from capsmith import load_embedder; "
        f"e = load_embedder([{str(tiny_embedding)!r}]); e.embed_texts(['a red ball']); e.fingerprint; e.image_sizes; "
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_kinds_are_refused(tiny_embedding, tmp_path):
    with pytest.raises(CheckpointError, match="embedding"):
        run_config(tiny_embedding)
    with pytest.raises(CheckpointError, match="captioner"):
        load_embedder([shapes.trained()])
    with pytest.raises(CheckpointError, match="no run directory"):
        load_embedder([tmp_path / "none"])
    with pytest.raises(ConfigError, match="engine"):
        load_embedder(engine="magic:x")


def test_damaged_runs_are_refused(tiny_embedding, tmp_path):
    for name in ("embedding.npz", "vocabulary.json"):
        copy = shutil.copytree(tiny_embedding, tmp_path / name)
        (copy / name).unlink()
        with pytest.raises(CheckpointError, match=name):
            load_embedder([copy])
