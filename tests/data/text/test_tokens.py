"""Tokenisation and its inverse."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capsmith.data.text.config import TextConfig
from capsmith.data.text.tokens import detokenise, tokenise

WORDS, CHARACTERS = TextConfig(), TextConfig(mode="char")
CONFIGS = [
    TextConfig(lowercase=lower, punctuation=marks, mode=mode)
    for lower, marks, mode in itertools.product((True, False), ("remove", "keep"), ("word", "char"))
]
CAPTIONS = st.text(alphabet=st.one_of(st.sampled_from("abn'sdtT1.,- \u200d\u0301’狗"), st.characters()), max_size=14)


@pytest.mark.parametrize(
    ("caption", "tokens", "written"),
    [
        ("The dog's ball.", ["the", "dog", "'s", "ball"], "the dog's ball"),
        ("the dog 's ball", ["the", "dog", "'s", "ball"], "the dog's ball"),
        ("It wouldn't've run", ["it", "would", "n't", "'ve", "run"], "it wouldn't've run"),
        ("...", [], ""),
        ("", [], ""),
    ],
)
def test_word_mode_round_trip(caption, tokens, written):
    assert tokenise(caption, WORDS) == tokens
    assert detokenise(tokens, WORDS) == written


def test_a_clitic_without_a_preceding_word():
    assert detokenise(["'s", "ball", "!", "'s"], WORDS) == "'s ball ! 's"
    tokens = ["'s", "n't"]
    assert tokenise(detokenise(tokens, WORDS), WORDS) == tokens


@pytest.mark.parametrize("caption", ["一只狗在跑", "con chó đang chạy", "สุนัขวิ่ง", "एक कुत्ता", "a dog's ball"])
def test_character_mode_restores_spaces(caption):
    tokens = tokenise(caption, CHARACTERS)
    assert len(tokens) == len(caption)
    assert all(len(token) == 1 for token in tokens)
    assert detokenise(tokens, CHARACTERS) == caption


def test_an_empty_caption_has_no_characters():
    assert tokenise(" 。 ", CHARACTERS) == []


@given(CAPTIONS, st.sampled_from(CONFIGS))
def test_tokenise_inverts_detokenise(caption, config):
    tokens = tokenise(caption, config)
    assert tokenise(detokenise(tokens, config), config) == tokens
    assert all(token == " " or token.split() == [token] for token in tokens)


@given(CAPTIONS)
def test_no_text_becomes_a_special_token(caption):
    for config in CONFIGS:
        assert not {"<start>", "<end>", "<pad>", "<unk>"} & set(tokenise(f"<start>{caption} <end>", config))
