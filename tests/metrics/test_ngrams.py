from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capsmith.metrics.ngrams import NgramIndex, ReferenceNgrams
from tests.support.captions import SENTENCES


def plain_counts(sentence, order=4):
    found = Counter(tuple(sentence[i : i + n]) for n in range(1, order + 1) for i in range(len(sentence) - n + 1))
    return sorted((len(gram), count) for gram, count in found.items())


def rows(counts, sentence):
    mine = counts.sentence == sentence
    return sorted(zip((counts.order[mine] + 1).tolist(), counts.count[mine].tolist(), strict=True))


@given(st.lists(SENTENCES, max_size=5), st.lists(SENTENCES, max_size=5))
def test_counts_equal_counting_by_hand(known, others):
    index = NgramIndex(known)
    for sentences, counts in ((known, index.counts), (others, index.encode(others))):
        assert counts.length.tolist() == [len(sentence) for sentence in sentences]
        for number, sentence in enumerate(sentences):
            assert rows(counts, number) == plain_counts(sentence)


def test_known_ngrams_keep_their_numbers_and_unknown_ones_get_new_ones():
    index = NgramIndex([["a", "dog", "runs"], ["the", "dog"]])
    again = index.encode([["a", "dog", "runs"]])
    assert np.array_equal(again.gram, index.counts.gram[index.counts.sentence == 0])
    unknown = index.encode([["a", "cat", "runs"]])
    known = unknown.gram[unknown.gram < index.size]
    assert len(known) == 2  # "a" and "runs"
    assert len(set(unknown.gram.tolist())) == len(unknown.gram) == 6
    assert index.encode([["cat"]]).gram.tolist() == [index.size]  # nothing was added


def test_tokens_may_be_integers():
    index = NgramIndex([[4, 5, 6], [5, 6]])
    assert index.size == 3 + 2 + 1
    assert index.encode([[5, 6]]).gram.max() < index.size


def test_document_frequency_counts_images_not_references():
    grams = ReferenceNgrams([[["a", "dog"], ["a", "a"]], [["a", "cat"]], [["b"]]])
    frequency = {}
    for word in ("a", "dog", "cat", "b"):
        frequency[word] = int(grams.document_frequency[grams.index.encode([[word]]).gram[0]])
    assert frequency == {"a": 2, "dog": 1, "cat": 1, "b": 1}


def test_frequencies_of_other_captions_are_counted_separately():
    grams = ReferenceNgrams([[["a"]]], others=[[["a"]], [["a"], ["b"]]])
    a, b = (int(grams.index.encode([[word]]).gram[0]) for word in "ab")
    assert grams.document_frequency[[a, b]].tolist() == [1, 0]
    assert grams.other_frequency[[a, b]].tolist() == [2, 1]
    assert (grams.images, grams.other_images) == (1, 2)
    assert grams.counts.sentence.tolist() == [0]  # the other captions are no references


def test_find_searches_only_the_references_of_the_image():
    grams = ReferenceNgrams([[["a", "a"], ["a"]], [["b"]]])
    a, b = (int(grams.index.encode([[word]]).gram[0]) for word in "ab")
    matched, groups = grams.find(np.array([0, 1, 1, 0]), np.array([a, a, b, grams.index.size]))
    assert matched.tolist() == [0, 2]
    assert grams.highest[groups].tolist() == [2, 1]
    source, row = grams.rows(groups)
    assert source.tolist() == [0, 0, 1]
    assert sorted(grams.counts.count[row].tolist()) == [1, 1, 2]
