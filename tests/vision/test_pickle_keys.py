"""Keys of pickles matched to images."""

import unicodedata

import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.pickle_keys import match_keys


def test_an_exact_key_takes_precedence(tmp_path):
    keys = ["1.jpg", "1.png", "other/1.jpg"]
    assert match_keys(keys, keys, tmp_path) == dict(zip(keys, keys, strict=True))
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    assert match_keys([decomposed], [composed], tmp_path) == {composed: decomposed}


@pytest.mark.parametrize(
    ("keys", "ids", "says"),
    [
        (["1.png", "1.jpg"], ["1"], "'1' could be '1.png' or '1.jpg'"),
        (["a/1.jpg", "b/1.jpg"], ["1.jpg"], "'1.jpg' could be 'a/1.jpg' or 'b/1.jpg'"),
        (["1"], ["a/1.jpg", "b/1.jpg"], "'1' matches 'a/1.jpg' and 'b/1.jpg'"),
        (["1"], ["1.jpg", "1.png"], "'1' matches '1.jpg' and '1.png'"),
        (["x1", "x2"], ["1.jpg"], "a key is 'x1', an image '1.jpg'"),
    ],
)
def test_ambiguous_and_unknown_keys_are_refused(tmp_path, keys, ids, says):
    with pytest.raises(FeatureError, match="old.pkl") as caught:
        match_keys(keys, ids, tmp_path / "old.pkl")
    assert says in str(caught.value)
