"""Words of a config become ids of a vocabulary, or an error that names them."""

import pytest

from capsmith.core.errors import ConfigError
from capsmith.data.text.config import TextConfig
from capsmith.data.text.vocabulary import SPECIALS, Vocabulary
from capsmith.decoding.config import BeamConfig, GreedyConfig
from capsmith.models.wishes import resolve, without_file

CAPTIONS = ["a man with a dog", "a photo of the dog", "a puppy the dog 's ball", "red ball"]
VOCABULARY = Vocabulary.build([caption.split() for caption in CAPTIONS])
PIECES = Vocabulary([*SPECIALS, "man", "##kind", "wo", "##man", "dog"], pieces=True)
TEXT = TextConfig()


def ids(text):
    return tuple(VOCABULARY.encode(text.split()))


def test_words_are_cleaned_as_captions_are():
    config = BeamConfig(prefix="A Photo, of", exclude=["The Dog's", "MAN"], include=["Puppy!|red  ball"])
    wishes = resolve(config, VOCABULARY, TEXT)
    assert wishes.prefix == ids("a photo of")
    assert wishes.exclude == (ids("the dog 's"), ids("man"))
    assert wishes.include == ((ids("puppy"), ids("red ball")),)
    assert wishes.banks == 3 and wishes.notes == ()
    assert resolve(BeamConfig(), VOCABULARY, TEXT) is None


def test_pieces_of_a_word_are_one_phrase():
    wishes = resolve(
        GreedyConfig(prefix="mankind", include=["man"], exclude=["woman"]), PIECES, TextConfig(mode="subword")
    )
    assert wishes.prefix == (4, 5) and wishes.include == (((4,),),) and wishes.exclude == ((6, 7),)
    assert wishes.continuing == {5, 7}
    assert not wishes.satisfied([4, 5]) and wishes.satisfied([4, 5, 4]) and not wishes.satisfied([4, 5, 4, 6, 7])


def test_unknown_words_to_exclude_are_noted(tmp_path):
    listed = tmp_path / "words.txt"
    listed.write_text("# names\n\nzebra\nred ball\n", encoding="utf-8")
    wishes = resolve(BeamConfig(exclude="man", exclude_file=listed), VOCABULARY, TEXT)
    assert wishes.exclude == (ids("man"), ids("red ball"))
    (note,) = wishes.notes
    assert "'zebra'" in note and "exclude" in note


def test_settings_without_the_file_have_its_words(tmp_path):
    listed = tmp_path / "words.txt"
    listed.write_text("zebra\nred ball\n", encoding="utf-8")
    values = without_file(BeamConfig(exclude="man", exclude_file=listed))
    assert values["exclude"] == ["man", "zebra", "red ball"] and values["exclude_file"] is None
    assert without_file(BeamConfig(exclude="man")) == BeamConfig(exclude="man").model_dump(mode="json")


def test_an_unknown_alternative_is_noted_and_the_others_are_used():
    wishes = resolve(BeamConfig(include=["dog|pupy"]), VOCABULARY, TEXT)
    assert wishes.include == ((ids("dog"),),) and "puppy" in wishes.notes[0]


def test_articles_and_punctuation_do_not_make_captions_different():
    words = Vocabulary.build([f"{caption} , .".split() for caption in CAPTIONS])
    wishes = resolve(BeamConfig(n=3), words, TextConfig(punctuation="keep"))
    assert {words.words[number] for number in wishes.ignored} == {"a", "the", ",", "."}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prefix": "a foto of"}, ["decoding.prefix", "'foto'", "photo"]),
        ({"prefix": "!?"}, ["decoding.prefix", "'!?'"]),
        ({"include": ["pupy"]}, ["decoding.include", "'pupy'", "puppy"]),
        ({"include": ["dog|"]}, ["decoding.include", "''"]),
        ({"include": ["red ball"], "exclude": ["red"]}, ["decoding.include", "'red ball'", "decoding.exclude"]),
        ({"prefix": "a man", "exclude": ["man"]}, ["decoding.prefix", "'a man'", "decoding.exclude"]),
        ({"exclude": [word for word in VOCABULARY.words[4:]]}, ["decoding.exclude", "every word"]),
        ({"prefix": "a photo of a", "max_length": 3}, ["decoding.max_length 3", "prefix 4"]),
        ({"prefix": "a", "include": ["red ball", "dog"], "max_length": 3}, ["prefix 1 + include 3"]),
        ({"include": ["red ball"] * 17}, ["decoding.include", "34", "32"]),
        ({"exclude": [" ".join(["dog"] * 70)]}, ["decoding.exclude", "70", "64"]),
    ],
)
def test_impossible_words_are_errors_of_one_line(settings, says):
    with pytest.raises(ConfigError) as error:
        resolve(BeamConfig(**settings), VOCABULARY, TEXT)
    assert all(part in str(error.value) for part in says) and "\n" not in str(error.value)


def test_a_word_of_the_prefix_counts_as_included():
    assert resolve(BeamConfig(prefix="a red ball", include=["red ball"], max_length=3), VOCABULARY, TEXT)
