"""Subword pieces, for words that do not occur in training too."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsmith.config import load_config
from capsmith.core.errors import ConfigError, MissingExtraError
from capsmith.data.text.config import TextConfig
from capsmith.data.text.subwords import continues_word, join_pieces, split_word
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.data.text.vocabulary import UNK, Vocabulary
from capsmith.models.captioner import Captioner
from capsmith.training.fit import train
from tests.support import shapes

CAPTIONS = [
    "a dog is running",
    "the runner runs",
    "two dogs jump",
    "a jumping dog",
    "the dogs are running",
    "she jumps",
]
CONFIG = TextConfig(mode="subword", min_count=1)


def made(captions=CAPTIONS, size=60):
    return Vocabulary.of_pieces([tokenise(caption, CONFIG) for caption in captions], size)


def test_the_longest_piece_is_chosen():
    pieces = {"r", "##u", "##n", "run", "##ning", "##ni", "##ng", "runn", "##ing"}
    assert split_word("running", pieces) == ["runn", "##ing"]
    assert split_word("runu", pieces) == ["run", "##u"]
    assert split_word("rux", pieces) is None and split_word("nu", pieces) is None
    assert join_pieces(["runn", "##ing", "dog", "##s", "#"]) == ["running", "dogs", "#"]
    assert join_pieces(["##ing", "##s"]) == ["ings"]


def test_training_words_are_decoded_from_their_pieces():
    vocabulary = made()
    for caption in CAPTIONS:
        assert detokenise(vocabulary.decode(vocabulary.encode(tokenise(caption, CONFIG))), CONFIG) == caption


def test_unseen_words_can_be_encoded():
    vocabulary = made()
    for word in ("rung", "jumped", "sunning", "dogjump"):
        ids = vocabulary.encode([word])
        assert UNK not in ids and len(ids) > 1 and vocabulary.decode(ids) == [word]
    assert vocabulary.encode(["zebra"]) == [UNK]  # no caption had a z


def test_counts_are_of_pieces():
    vocabulary = made()
    ids = [index for caption in CAPTIONS for index in vocabulary.encode(caption.split())]
    assert all(vocabulary.counts[n] == ids.count(n) for n in range(4, len(vocabulary)))
    assert vocabulary.counts[3] == len(CAPTIONS) and vocabulary.counts[UNK] == 0


def test_fewer_pieces_are_shorter():
    long = [len(made(size=size).encode(["running", "jumping"])) for size in (30, 200)]
    assert long[0] > long[1] == 2


@given(st.lists(st.text("adginorujmpstw", min_size=1, max_size=9), max_size=6))
def test_join_pieces_inverts_split_word(words):
    vocabulary = VOCABULARY
    assert [w for w, ids in zip(words, vocabulary.encode_words(words), strict=True) if UNK not in ids] == [
        w for w in words if UNK not in vocabulary.encode([w])
    ]
    known = [word for word in words if UNK not in vocabulary.encode([word])]
    assert vocabulary.decode(vocabulary.encode(known)) == known


VOCABULARY = made()


def test_the_file_marks_pieces(tmp_path):
    VOCABULARY.save(tmp_path / "v.json")
    loaded = Vocabulary.load(tmp_path / "v.json")
    assert loaded == VOCABULARY and loaded.pieces and loaded.sha256() == VOCABULARY.sha256()
    words = Vocabulary(VOCABULARY.words, VOCABULARY.counts)
    assert words != VOCABULARY and words.sha256() != VOCABULARY.sha256()
    words.save(tmp_path / "w.json")
    assert "pieces" not in json.loads((tmp_path / "w.json").read_text())


def test_pieces_do_not_depend_on_the_process():
    """The same captions give the same pieces with the same ids."""
    code = (
        "import random; from capsmith.data.text.vocabulary import Vocabulary as V; random.seed(0);"
        "words=[[''.join(random.choices('abcdefg',k=random.randint(1,8))) for _ in range(9)] for _ in range(400)];"
        "print(V.of_pieces(words,300).sha256())"
    )
    found = set()
    for seed in "012":
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"text.mode: subword needs tokenizers: pip install 'capsmith\[text\]'"):
        made()


def test_mirror_images_are_refused_with_pieces():
    values = {"data": {"type": "folder", "root": "."}, "decoder": {"type": "merge"}, "text": {"mode": "subword"}}
    load_config(values)
    with pytest.raises(ConfigError, match="text.mode subword"):
        load_config(values | {"training": {"cached_crops": 1}})


def test_a_captioner_with_pieces_trains_resumes_and_writes_words(tmp_path):
    values = shapes.settings(
        text={"mode": "subword", "max_words": 24, "max_length": 30},
        decoder={"type": "attention", "units": 16, "attention_units": 16},
        training={"epochs": 2},
        decoding={"max_length": 30},
    )
    values["encoder"] |= {"output": "grid"}
    del values["decoder"]["mode"]
    train(load_config(values), tmp_path / "run")
    train(load_config(values), tmp_path / "run", resume=True)
    captioner = Captioner.load(tmp_path / "run")
    assert captioner.vocabulary.pieces and any(continues_word(piece) for piece in captioner.vocabulary.words)
    image = next((shapes.data() / "images").glob("red*"))
    caption = captioner.caption(image, attention=True)
    assert "##" not in caption.text and caption.text == " ".join(caption.words)
    assert caption.attention.shape[0] == len(caption.words)
    np.testing.assert_allclose(caption.attention.sum(axis=(1, 2)), 1.0, atol=1e-4)
