"""The vocabulary: ids depend on the captions alone, and damaged files are refused."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.errors import CheckpointError, DataError
from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.data.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

CAPTIONS = [["a", "dog", "runs"], ["a", "cat"], ["a", "dog", "एक"]]


def test_words_are_ordered_by_count_then_alphabetically():
    vocabulary = Vocabulary.build(CAPTIONS)
    assert vocabulary.words == ("<pad>", "<unk>", "<start>", "<end>", "a", "dog", "cat", "runs", "एक")
    assert (PAD, UNK, START, END) == (0, 1, 2, 3)
    assert Vocabulary.build(reversed(CAPTIONS)) == vocabulary


def test_counts_are_target_frequencies():
    vocabulary = Vocabulary.build(CAPTIONS, min_count=2)
    assert dict(zip(vocabulary.words, vocabulary.counts, strict=True)) == {
        "<pad>": 0,
        "<unk>": 3,  # cat, runs, एक
        "<start>": 0,
        "<end>": 3,
        "a": 3,
        "dog": 2,
    }
    ids = [id for tokens in CAPTIONS for id in [*vocabulary.encode(tokens), END]]
    assert list(np.bincount(ids, minlength=len(vocabulary))) == list(vocabulary.counts)


def test_max_words_keeps_the_most_frequent():
    assert Vocabulary.build(CAPTIONS, max_words=2).words[4:] == ("a", "dog")


def test_an_empty_vocabulary_is_an_error():
    with pytest.raises(DataError, match=r"5 words.*3 training captions.*4 times"):
        Vocabulary.build(CAPTIONS, min_count=4)


def test_encode_and_decode():
    vocabulary = Vocabulary.build(CAPTIONS)
    ids = vocabulary.encode(["a", "zebra", "dog"])
    assert ids == [4, UNK, 5]
    assert vocabulary.decode(np.array([START, *ids, PAD, END, 4], dtype="int32")) == ["a", "<unk>", "dog"]


@pytest.mark.parametrize("bad", [-1, 9])
def test_an_id_of_another_vocabulary_is_refused(bad):
    with pytest.raises(ValueError, match="outside a vocabulary of 9"):
        Vocabulary.build(CAPTIONS).decode([4, bad])


def test_special_words_cannot_be_spelled():
    tokens = ["<start>", "dog", "<end>"]
    vocabulary = Vocabulary.build([tokens])
    assert vocabulary.words.count("<start>") == 1
    assert vocabulary.encode(tokens) == [UNK, 4, UNK]
    assert "<start>" not in vocabulary and "dog" in vocabulary
    cleaned = tokenise("<start> dog <end>", TextConfig())
    assert cleaned == ["start", "dog", "end"]


def test_saving_and_loading(tmp_path):
    vocabulary = Vocabulary.build([*CAPTIONS, list("一 狗")])
    vocabulary.save(tmp_path / "vocabulary.json")
    loaded = Vocabulary.load(tmp_path / "vocabulary.json")
    assert loaded == vocabulary
    assert loaded.sha256() == vocabulary.sha256()
    assert " " in loaded


def test_the_fingerprint_is_of_the_words_in_their_order():
    first = Vocabulary.build([["a", "b", "b"]])
    assert first.sha256() == Vocabulary.build([["b", "b", "b", "a"]]).sha256()
    assert first.sha256() != Vocabulary.build([["a", "a", "b"]]).sha256()
    assert len(first.sha256()) == 64


def _content(**change):
    return {
        "format": 1,
        "words": ["<pad>", "<unk>", "<start>", "<end>", "a"],
        "counts": [0, 0, 0, 1, 1],
    } | change


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _content(words=["<pad>", "<unk>", "<start>", "<end>", "a", "a"], counts=[0] * 6),
            "'a' occurs twice",
        ),
        (
            _content(words=["<pad>", "<unk>", "<end>", "<start>", "a"]),
            "first words must be <pad> <unk> <start> <end>",
        ),
        (_content(words=["<pad>", "<unk>", "<start>", "<end>", 7]), "'words' must be a list"),
        (_content(words="<pad> <unk> <start> <end>"), "'words' must be a list"),
        (_content(counts=[0, 0, 0, 1]), "4 counts for 5 words"),
        (_content(counts=[0, 0, 0, 1, -1]), "'counts' must be a list"),
        (_content(counts=[0, 0, 0, 1, True]), "'counts' must be a list"),
        (_content(format=2), "format 1"),
        ([], "not a capsmith vocabulary"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(_content()))
    assert len(Vocabulary.load(path)) == 5
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        Vocabulary.load(path)


@pytest.mark.parametrize("text", [None, "", '{"format": 1, "words": ["<pad>"'])
def test_a_missing_or_truncated_file_is_refused(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CheckpointError, match="vocabulary.json"):
        Vocabulary.load(path)


# --- whatever the words -----------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        [*SPECIALS, "a", "b", "dog", "'s", "##s", "#", "狗", "e\u0301", "é", " ", "\u2028", "\x85", "\x00", '"']
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
)
CORPORA = st.lists(st.lists(WORDS, max_size=6), max_size=8)


def build(captions, *limits):
    """Returns the vocabulary, or None if no word is frequent enough."""
    try:
        return Vocabulary.build(captions, *limits)
    except DataError:
        return None


@settings(deadline=None)
@given(CORPORA, st.integers(1, 3), st.none() | st.integers(1, 4), st.randoms(use_true_random=False))
def test_build_agrees_with_a_counter(captions, least, most, random):
    counts = Counter(word for tokens in captions for word in tokens)
    frequent = {word for word, n in counts.items() if n >= least and word not in SPECIALS}
    vocabulary = build(captions, least, most)
    if vocabulary is None:
        assert not frequent
        return
    kept = vocabulary.words[4:]
    assert set(kept) <= frequent and len(kept) == min(len(frequent), most or len(frequent))
    assert min(counts[word] for word in kept) >= max((counts[word] for word in frequent - set(kept)), default=0)
    assert vocabulary.counts[4:] == tuple(counts[word] for word in kept)
    assert sum(vocabulary.counts) == counts.total() + len(captions)
    again = [random.sample(tokens, len(tokens)) for tokens in random.sample(captions, len(captions))]
    assert Vocabulary.build(again, least, most) == vocabulary  # ids depend on counts alone


@settings(deadline=None)
@given(CORPORA, st.lists(WORDS, max_size=8))
def test_ids_are_dense_and_decode_inverts_encode(captions, others):
    vocabulary = build(captions)
    if vocabulary is None:
        return
    words = [word for tokens in captions for word in tokens]
    ids = vocabulary.encode(words)
    assert set(ids) - {UNK} == set(range(4, len(vocabulary)))
    assert vocabulary.decode([START, *ids, END, *ids]) == ["<unk>" if w in SPECIALS else w for w in words]
    assert [vocabulary.encode([vocabulary.words[n]]) for n in range(4, len(vocabulary))] == [
        [n] for n in range(4, len(vocabulary))
    ]
    found = vocabulary.encode(others)
    assert len(found) == len(others) and not {PAD, START, END} & set(found)
    assert [n == UNK for n in found] == [word in SPECIALS or word not in words for word in others]
    assert vocabulary.encode_words(others) == [[n] for n in found]
    assert [word in vocabulary for word in others] == [n != UNK for n in found]


@settings(max_examples=50, deadline=None)
@given(CORPORA)
def test_a_saved_vocabulary_is_the_same(tmp_path_factory, captions):
    vocabulary = build(captions)
    if vocabulary is None:
        return
    path = tmp_path_factory.getbasetemp() / "vocabulary.json"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary and loaded.sha256() == vocabulary.sha256()
    assert json.loads(path.read_bytes())["words"] == list(vocabulary.words)
    words = [word for tokens in captions for word in tokens]
    assert loaded.encode(words) == vocabulary.encode(words)


@settings(deadline=None)
@given(CORPORA, CORPORA)
def test_two_vocabularies_have_one_fingerprint_only_if_they_have_the_same_words(some, others):
    one, other = build(some), build(others)
    if one is not None and other is not None:
        assert (one.sha256() == other.sha256()) == (one.words == other.words)


TEXTS = st.text(
    st.sampled_from("abnsd'tT1.,#-<> \u200d\u0301’狗एक") | st.characters(exclude_categories=["Cs"]), max_size=12
)
MODES = [
    TextConfig(mode=mode, punctuation=marks, lowercase=lower)
    for mode in ("word", "char", "subword")
    for marks in ("remove", "keep")
    for lower in (True, False)
]


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(MODES))
def test_training_captions_are_decoded_from_their_ids(captions, config):
    tokens = [tokenise(caption, config) for caption in captions]
    if not any(tokens):
        return
    vocabulary = Vocabulary.of_pieces(tokens, 60) if config.mode == "subword" else Vocabulary.build(tokens)
    for said in tokens:
        ids = vocabulary.encode(said)
        assert all(4 <= n < len(vocabulary) for n in ids)
        assert vocabulary.decode([START, *ids, END, PAD]) == said
        assert tokenise(detokenise(vocabulary.decode(ids), config), config) == said
    assert vocabulary.counts[END] == len(captions)
    ids = [n for said in tokens for n in vocabulary.encode(said)]
    assert list(np.bincount(ids, minlength=len(vocabulary)))[4:] == list(vocabulary.counts)[4:]


def test_an_extended_vocabulary_keeps_every_word_and_adds_new_ones():
    """Computed by hand: old ids and counts stay, new words follow by count, then alphabetically."""
    old = Vocabulary.build(CAPTIONS, min_count=2)
    new = old.extended([["a", "crimson", "disc"], ["crimson", "azure", "dog"], ["<pad>"]])
    assert new.words == (*old.words, "crimson", "azure", "disc")
    assert dict(zip(new.words, new.counts, strict=True)) == {
        "<pad>": 0,
        "<unk>": 4,  # cat, runs, एक; and <pad>, which is no word
        "<start>": 0,
        "<end>": 6,
        "a": 4,
        "dog": 3,
        "crimson": 2,
        "azure": 1,
        "disc": 1,
    }
    assert old.extended([["a", "crimson", "disc"], ["crimson"]], min_count=2).words == (*old.words, "crimson")
    assert old.extended([["azure"], ["crimson"], ["crimson"]], max_words=3).words == (*old.words, "crimson")
    assert old.extended([["azure"]], max_words=1).words == old.words
    assert old.extended([]) == old


def test_pieces_are_not_extended():
    old = Vocabulary([*SPECIALS, "a", "d", "##o", "##g"], pieces=True)
    new = old.extended([["a", "dog", "cat"]])
    assert (new.words, new.pieces, new.counts[UNK]) == (old.words, True, 1)
