import pytest

from capsmith.models.clip.prompts import clean, prompted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("salt &amp;amp; pepper", "salt & pepper"),
        (" a \n b ", "a b"),
        ("a<|endoftext|>b", "a b"),
        ("<|endoftext|>", ""),
    ],
)
def test_texts_are_cleaned_as_openai_does(text, expected):
    assert clean(text) == expected


def test_a_phrase_is_prompted():
    assert prompted("small dog {0} with hat") == [
        "small dog {0} with hat",
        "a photo of small dog {0} with hat",
        "a picture of small dog {0} with hat",
    ]


@pytest.mark.parametrize(
    "text", ["Embrace the moment, one cup at a time.", "Go!", 'He said "go."', "A photo of a dog", "", "开始。"]
)
def test_sentences_and_prompted_phrases_stay_as_they_are(text):
    assert prompted(text) == [text]
