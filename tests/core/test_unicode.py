import random
import time
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.unicode import nfc

MARKS = [chr(code) for code in range(0x250, 0x10000) if unicodedata.combining(chr(code))]
STARTERS = ["a", "e", "é", "ệ", "가", "ᄀ", "ᅡ", "ᆨ", "か", "क", "़", " ", "狗", "\u0f73", "\u0344", "\u0f81"]


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 1500))
def test_normalisation_equals_unicodedata(rng: random.Random, length):
    text = "".join(rng.choice(MARKS if rng.random() < 0.7 else STARTERS) for _ in range(length))
    assert nfc(text) == unicodedata.normalize("NFC", text)


def test_marks_in_the_worst_order_take_linear_time():
    text = "a" + "\u0301\u0323" * 50_000
    started = time.perf_counter()
    result = nfc(text)
    assert time.perf_counter() - started < 2  # Python's own: 20 seconds
    assert result == "ạ" + "\u0323" * 49_999 + "\u0301" * 50_000
