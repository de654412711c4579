import pytest

from capsmith.core.errors import DataError
from capsmith.metrics import TOKENISERS, tokenisers


def test_every_tokeniser_has_a_name_a_version_and_a_tag():
    assert list(TOKENISERS) == ["coco", "simple", "char", "none"]
    assert tokenisers.find("coco").tag == "coco.1"
    assert tokenisers.find("none").case == "mixed"


def test_simple():
    simple = tokenisers.find("simple")
    assert simple("A dog's T-shirt, (red) -- it's 5 o'clock!") == "a dog's t-shirt red it's 5 o'clock".split()
    assert simple("'quoted' -x- a_b ... ÉTÉ") == "quoted x a b été".split()
    assert simple("") == []


def test_simple_keeps_marks_inside_words_of_other_scripts():
    simple = tokenisers.find("simple")
    assert simple("एक कुत्ता दौड़ता है।") == ["एक", "कुत्ता", "दौड़ता", "है"]
    assert simple("Cafe\u0301") == ["café"]  # composed first


def test_characters_for_scripts_without_spaces():
    assert tokenisers.find("char")("犬が 走る。A1!") == ["犬", "が", "走", "る", "a", "1"]


def test_tokeniser_none_splits_only_at_white_space():
    assert tokenisers.find("none")("A dog's  tail .") == ["A", "dog's", "tail", "."]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(DataError, match=r"tokeniser 'cocoa' is not known; did you mean 'coco'\? \(one of: coco,"):
        tokenisers.find("cocoa")
