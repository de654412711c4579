"""Word vectors are assigned to the right rows; errors name the line of the file."""

import numpy as np
import pytest

from capsmith.core.errors import DataError
from capsmith.data.flickr8k import Flickr8kConfig, read
from capsmith.data.text.config import TextConfig
from capsmith.data.text.glove import load_vectors
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import PAD, Vocabulary

VOCABULARY = Vocabulary.build([["dog", "dog", "dog", "cat", "cat", "एक", "zebra"]])
GOOD = "the 9 9 9\ndog 1.0 2.0 3.0\nएक -1 0.5 1e-1\ncat 4 5 6\n"


def _write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode(encoding))
    return path


def test_each_word_gets_its_vector(tmp_path):
    vectors, coverage = load_vectors(_write(tmp_path, GOOD), VOCABULARY, 3, seed=1)
    assert vectors.shape == (8, 3) and vectors.dtype == np.float32
    ids = {word: VOCABULARY.encode([word])[0] for word in VOCABULARY.words[4:]}
    np.testing.assert_allclose(vectors[ids["dog"]], [1, 2, 3])
    np.testing.assert_allclose(vectors[ids["cat"]], [4, 5, 6])
    np.testing.assert_allclose(vectors[ids["एक"]], [-1, 0.5, 0.1])
    assert not vectors[PAD].any()
    assert (coverage.known, coverage.total, coverage.missing) == (3, 4, ("zebra",))
    assert coverage.token_share == pytest.approx(6 / 7)
    assert str(coverage) == "3 of 4 words have a vector, 85.7% of the text; most frequent without: zebra"


def test_missing_vectors_are_drawn_with_the_statistics_of_the_others(tmp_path):
    words = [f"w{i}" for i in range(4000)]
    vocabulary = Vocabulary.build([words])
    found = np.random.default_rng(0).normal(3.0, 0.5, (200, 5))
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words[:200], found, strict=True)]
    path = _write(tmp_path, "\n".join(lines))
    vectors, coverage = load_vectors(path, vocabulary, 5, seed=7)
    assert coverage.known == 200
    missing = vectors[[vocabulary.encode([word])[0] for word in words[200:]]]
    assert missing.mean() == pytest.approx(found.mean(), abs=0.02)
    assert missing.std() == pytest.approx(found.std(), abs=0.02)
    again, _ = load_vectors(path, vocabulary, 5, seed=7)
    other, _ = load_vectors(path, vocabulary, 5, seed=8)
    np.testing.assert_array_equal(again, vectors)
    assert not np.array_equal(other, vectors)


@pytest.mark.parametrize(
    "text",
    [
        "400000 3\n" + GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", " \n"),
        GOOD.replace(" ", "\t"),
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace("\nएक", "\n. . . 7 7 7\nat name@domain.com 8 8 8\nएक"),
        GOOD + "dog 0 0 0\n",
        GOOD + "<start> 5 5 5\n",
    ],
    ids=[
        "header",
        "bom",
        "crlf",
        "trailing-space",
        "tabs",
        "blank",
        "no-newline",
        "spaces",
        "twice",
        "special",
    ],
)
def test_file_variants_are_read_alike(tmp_path, text):
    plain, _ = load_vectors(_write(tmp_path, GOOD), VOCABULARY, 3)
    vectors, coverage = load_vectors(_write(tmp_path, text), VOCABULARY, 3)
    assert coverage.known == 3
    np.testing.assert_array_equal(vectors, plain)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("dog 1.0 2.0", "dog 1.0"), r"line 2: 'dog' is not followed by 3 numbers"),
        (GOOD.replace("dog 1.0 2.0", "dog 1.0 2.0 2.5"), r"line 2: 'dog' is not followed by 3 numbers"),
        (GOOD.replace("the 9 9 9", "the 9 x 9"), r"line 1: 'the'"),
        (GOOD.replace("dog 1.0", "dog 1-0"), r"line 2: 'dog'"),
        (GOOD.replace("dog 1.0", "dog nan"), r"line 2: 'dog'"),
        (GOOD.replace("dog 1.0", "dog 1e999"), r"line 2: 'dog'"),
        (GOOD + "owl 0.1", r"line 5: 'owl'"),
        (GOOD + "\x00\x01\x02", r"line 5: '"),
        ("zoo 1 2 3\n", "none of the vocabulary's 4 words"),
        ("", "none of the vocabulary's 4 words"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_vectors(_write(tmp_path, text), VOCABULARY, 3)


@pytest.mark.parametrize("text", [GOOD, "400000 3\n" + GOOD])
def test_another_dimension_than_in_the_config(tmp_path, text):
    with pytest.raises(DataError, match=r"3 .*4"):
        load_vectors(_write(tmp_path, text), VOCABULARY, 4)


def test_other_kinds_of_files(tmp_path):
    with pytest.raises(DataError, match="UTF-16"):
        load_vectors(_write(tmp_path, GOOD, "utf-16"), VOCABULARY, 3)
    (tmp_path / "v.zip").write_bytes(b"PK\x03\x04 0 0 0")
    with pytest.raises(DataError, match="unpack"):
        load_vectors(tmp_path / "v.zip", VOCABULARY, 3)
    with pytest.raises(DataError, match="absent"):
        load_vectors(tmp_path / "absent.txt", VOCABULARY, 3)
    with pytest.raises(DataError, match="cannot read the word vectors"):
        load_vectors(tmp_path, VOCABULARY, 3)


@pytest.mark.shared
def test_flickr8k_vocabulary_and_coverage(shared):
    config = TextConfig()
    train = read(Flickr8kConfig(root=shared / "flickr8k")).split("train")
    tokens = [tokenise(caption, config) for record in train for caption in record.captions]
    vocabulary = Vocabulary.build(tokens, config.min_count)
    assert len(vocabulary) == 2540
    assert max(map(len, tokens)) == 36
    assert sum(len(caption) > config.max_length for caption in tokens) == 217
    for name, size, found, share in (("50d", 50, 2494, 0.997), ("200d", 200, 2027, 0.840)):
        path = shared / "glove" / f"glove.6B.{name}.flickr8k-subset.txt"
        vectors, coverage = load_vectors(path, vocabulary, size)
        assert vectors.shape == (2540, size)
        assert (coverage.known, coverage.total) == (found, 2536)
        assert coverage.token_share == pytest.approx(share, abs=0.001)
    assert coverage.missing[0] == "a"  # the 200-d file lacks it: a file with gaps
