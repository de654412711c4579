"""The files that keep the vectors of captions."""

import os
from pathlib import Path

import numpy as np
import pytest

from capsmith.deploy.recommend import vectors as module
from capsmith.deploy.recommend.vectors import text_vectors
from tests.support.toy_embedder import ToyEmbedder

TEXTS = ["a red ball", "a blue box", "a red ball", "green"]
BANK = ToyEmbedder().embed_texts(["red", "green", "white", "black"])


class Counting(ToyEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.texts = []

    def embed_texts(self, texts):
        self.texts += texts
        return super().embed_texts(texts)


def embedded(folder, texts=TEXTS, bank=BANK, **more):
    embedder = Counting(**more)
    found = text_vectors(embedder, texts, bank, folder)
    np.testing.assert_array_equal(found.vectors, ToyEmbedder().embed_texts(texts))
    assert found.embedded == len(embedder.texts)
    return embedder.texts, found


def test_a_text_is_embedded_once(tmp_path):
    texts, first = embedded(tmp_path)
    assert texts == ["a red ball", "a blue box", "green"]
    texts, again = embedded(tmp_path)
    assert texts == []
    for name in ("neighbours", "softmax"):
        np.testing.assert_array_equal(getattr(first.popularity, name), getattr(again.popularity, name))


def test_only_new_texts_of_a_library_that_grows_are_embedded(tmp_path):
    embedded(tmp_path)
    texts, grown = embedded(tmp_path, ["yellow", *TEXTS])
    assert texts == ["yellow"]
    fresh = embedded(None, ["yellow", *TEXTS])[1]
    np.testing.assert_allclose(grown.popularity.softmax, fresh.popularity.softmax, atol=1e-6)
    assert embedded(tmp_path, TEXTS[1:])[0] == []


def test_another_model_or_bank_shares_nothing(tmp_path):
    embedded(tmp_path)
    assert len(embedded(tmp_path, fingerprint="toy-2")[0]) == 3
    assert len(embedded(tmp_path, bank=BANK[:2])[0]) == 3
    assert embedded(tmp_path, bank=None)[1].popularity is None


def damaged(path: Path, how: str) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "pickle":
        np.savez(path, **{**arrays, "vectors": np.array([object()], object)})
    else:
        arrays["vectors"] = {
            "nan": np.full_like(arrays["vectors"], np.nan),
            "length": arrays["vectors"] / 2,
            "shape": arrays["vectors"][:, :2],
            "rows": arrays["vectors"][:1],
        }[how]
        np.savez(path, **arrays)


@pytest.mark.parametrize("how", ["cut", "pickle", "nan", "length", "shape", "rows"])
def test_a_damaged_file_is_made_again(tmp_path, how, log_lines):
    embedded(tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    damaged(path, how)
    assert len(embedded(tmp_path)[0]) == 3
    assert path.name in " ".join(log_lines)
    assert embedded(tmp_path)[0] == [] and len(path.read_bytes()) == len(good)


def test_a_folder_that_cannot_be_written_is_a_note(tmp_path, log_lines):
    (tmp_path / "file").write_text("")
    assert len(embedded(tmp_path / "file")[0]) == 3
    assert str(tmp_path / "file") in " ".join(log_lines)


def test_old_files_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    for age, text in ((30, "red"), (20, "green"), (10, "blue")):
        before = {*tmp_path.iterdir()}
        embedded(tmp_path, [text])
        for path in {*tmp_path.iterdir()} - before:
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    assert embedded(tmp_path, ["green"])[0] == [] and len([*tmp_path.iterdir()]) == 2
    assert embedded(tmp_path, ["red"])[0] == ["red"]
