"""Captions for property tests: few words, so that n-grams match often, and unusual texts."""

from hypothesis import strategies as st

WORDS = st.sampled_from(["a", "dog", "runs", "the", "snow", "in", "犬", "naïve", "x" * 50])
SENTENCES = st.lists(WORDS, min_size=0, max_size=14)
FULL = st.lists(WORDS, min_size=1, max_size=14)


@st.composite
def corpora(draw, hypotheses=SENTENCES, references=FULL, images=6):
    """Returns hypotheses and references by id, with 1 to 10 references per image."""
    keys = [f"{number}.jpg" for number in range(draw(st.integers(1, images)))]
    truth = {key: draw(st.lists(references, min_size=1, max_size=10)) for key in keys}
    return {key: draw(hypotheses) for key in keys}, truth


ADVERSARIAL = {
    "nothing said": ({"a": []}, {"a": [["a", "dog"]]}),
    "one word": ({"a": ["dog"], "b": ["cat"]}, {"a": [["a", "dog"]], "b": [["a", "dog"], ["dog"]]}),
    "words never seen": ({"a": ["q", "w", "e", "r", "t"], "b": ["a"]}, {"a": [["a", "dog"]], "b": [["a"]]}),
    "all the same": ({"a": ["a", "b", "c", "d"]}, {"a": [["a", "b", "c", "d"]]}),
    "one image": ({"a": ["a", "dog", "runs", "far"]}, {"a": [["a", "dog", "runs"], ["a", "cat"]]}),
    "in every image": (
        {"a": ["a", "dog"], "b": ["a", "dog"]},
        {"a": [["a", "dog"], ["a", "dog", "runs"]], "b": [["a", "dog"]]},
    ),
    "1 and 10 references": (
        {"a": ["a", "dog", "runs", "in", "snow"], "b": ["the", "dog"]},
        {"a": [["a", "dog", "runs", "in", "the", "snow"]], "b": [["the", "dog", str(n)] for n in range(10)]},
    ),
    "repetition": ({"a": ["the"] * 7, "b": ["x"]}, {"a": [["the", "cat", "the", "mat"]], "b": [["y"]]}),
    "unicode": ({"a": ["犬", "が", "走る", "é"], "b": ["ß"]}, {"a": [["犬", "が", "走る", "é"]], "b": [["ß", "🐕"]]}),
    "10,000 characters": (
        {"a": ["dog", "runs"] * 1000, "b": ["a"]},
        {"a": [["dog", "runs", "far"], ["runs", "dog"] * 900], "b": [["a", "b"]]},
    ),
    "one long word": ({"a": ["x" * 10_000], "b": ["a"]}, {"a": [["x" * 10_000, "y"]], "b": [["a"]]}),
}
