"""The commands with ``--engine clip:FOLDER``, run whole."""

import json

import numpy as np
import pytest
from PIL import Image

import capsmith
from capsmith.cli import main
from capsmith.vision.images import load_image

NAMES = ("wide", "tall", "square")


@pytest.fixture(scope="module")
def place(preset, tmp_path_factory):
    """A folder of three photographs, an index of it, and the names and vectors of the images."""
    folder = tmp_path_factory.mktemp("commands")
    rng = np.random.default_rng(1)
    (folder / "photos").mkdir()
    for name, size in zip(NAMES, ((40, 90), (90, 40), (64, 64)), strict=True):
        pixels = np.kron(rng.integers(0, 256, (size[0] // 8 + 1, size[1] // 8 + 1, 3)), np.ones((8, 8, 1)))
        Image.fromarray(pixels[: size[0], : size[1]].astype(np.uint8)).save(folder / "photos" / f"{name}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(["index", str(folder / "photos"), "--engine", f"clip:{preset}", "--out", str(folder / "i")]) == 0
        yield folder


@pytest.fixture(scope="module")
def clip(preset):
    return capsmith.load_embedder(engine=f"clip:{preset}")


@pytest.fixture(scope="module")
def vectors(place, clip):
    """Vectors of the photographs in the joint space, (3, d), framed as CLIP does."""
    pixels = [load_image(place / "photos" / f"{n}.png", clip.image_sizes[0]) for n in NAMES]
    return clip.embed_features(clip.encode(np.stack(pixels)))


def lines(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments)]) == code
    shown = capsys.readouterr()
    return [json.loads(line) for line in shown.out.splitlines()] if code == 0 else shown.err.splitlines()


def test_recommend_ranks_the_library(place, preset, clip, vectors, capsys):
    captions = ["Red, red, red.", "A small dog with hat.", "Dog of a dog."]
    (place / "library.txt").write_text("\n".join(captions))
    photo = place / "photos" / "wide.png"
    options = ["--captions", place / "library.txt", "--engine", f"clip:{preset}", "--correction", "none", "--json"]
    (found,) = lines(capsys, "recommend", photo, *options)
    cosines = clip.embed_texts(captions) @ vectors[0]
    order = np.argsort(-cosines)
    assert [entry["caption"] for entry in found["captions"]] == [captions[i] for i in order]
    similarities = [entry["similarity"] for entry in found["captions"]]
    np.testing.assert_allclose(similarities, cosines[order], atol=1e-3)


def test_search_ranks_the_index_for_a_phrase(place, clip, vectors, capsys):
    found = lines(capsys, "search", place / "i", "--text", "small dog with hat", "--json", "--keep-duplicates")
    cosines = vectors @ clip.embed_texts(["small dog with hat"])[0]
    order = np.argsort(-cosines)
    assert [hit["path"].rsplit("/", 1)[-1] for hit in found] == [f"{NAMES[i]}.png" for i in order]
    np.testing.assert_allclose([hit["semantic"] for hit in found], cosines[order], atol=2e-3)  # float16


def test_search_finds_the_image_itself(place, capsys):
    photo = place / "photos" / "tall.png"
    found = lines(capsys, "search", place / "i", "--image", photo, "--json", "--keep-duplicates")
    assert found[0]["path"].endswith("tall.png") and found[0]["visual"] == pytest.approx(1, abs=1e-3)


def test_an_index_of_other_weights_is_refused(place, preset, tmp_path, capsys):
    from tests.support.tiny_clip import save_tiny_clip

    other = save_tiny_clip(tmp_path / "other", seed=1)
    (line,) = lines(capsys, "search", place / "i", "--text", "dog", "--engine", f"clip:{other}", code=2)
    assert str(place / "i") in line


@pytest.mark.parametrize("verb", ["recommend", "index"])
def test_what_is_not_a_preset_is_one_line(place, verb, capsys):
    more = ["--out", place / "j"] if verb == "index" else []
    (line,) = lines(capsys, verb, place / "photos", "--engine", f"clip:{place / 'photos'}", *more, code=2)
    assert "config.json" in line and not (place / "j").exists()
