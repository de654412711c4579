"""Ranking of a library, in a world whose meaning is colour."""

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import ConfigError, DataError, ImageError
from capsmith.deploy.recommend.library import Library
from capsmith.deploy.recommend.recommender import Recommender
from tests.support.toy_embedder import COLOURS, ToyEmbedder

LIBRARY = Library.of(
    ["Seeing red.", "Out of the blue.", "Go green!", "Here comes the sun", "Off the grid"],
    ["red", "blue", "green", "yellow", ""],
    ["moods", "moods", "nature", "nature", ""],
)
BANK = ToyEmbedder().embed_texts(["red", "blue", "green", "yellow", "white", "black"] * 3)


def photo(colour):
    return np.full((16, 16, 3), COLOURS[colour], np.uint8)


@pytest.fixture(scope="module")
def recommender():
    return Recommender(ToyEmbedder(bank=BANK), LIBRARY)


def test_the_caption_whose_description_fits_comes_first(recommender):
    for row, colour in enumerate(LIBRARY.descriptions[:4]):
        best = recommender.recommend(photo(colour), top=2)
        assert best[0].caption == LIBRARY.captions[row] and best[0].rank == 1 and best[1].rank == 2
        assert best[0].similarity == pytest.approx(1, abs=1e-3) and best[0].score > best[1].score
        assert (best[0].theme, best[0].description) == (LIBRARY.themes[row], colour)


def test_similarity_is_the_cosine_whatever_the_correction():
    embedder = ToyEmbedder(bank=BANK)
    image = embedder.embed_features(embedder.encode(photo("red")[None]))
    cosines = dict(zip(LIBRARY.captions, (image @ embedder.embed_texts(LIBRARY.texts).T)[0], strict=True))
    scores = set()
    for correction in ("none", "csls", "inverted_softmax"):
        found = Recommender(embedder, LIBRARY, correction=correction).recommend(photo("red"), top=4)
        assert {one.caption: one.similarity for one in found} == pytest.approx(
            {one.caption: float(cosines[one.caption]) for one in found}
        )
        scores.add(round(found[0].score, 6))
    assert len(scores) == 3


def test_a_popular_caption_loses_its_place():
    """White is close to all light colours; a bank full of them shows it."""
    library = Library.of(["Popular", "Special"], ["white white yellow", "yellow green"])
    bank = ToyEmbedder().embed_texts(["white", "white yellow", "white white yellow"] * 5)
    image = np.full((16, 16, 3), (190, 230, 80), np.uint8)
    embedder = ToyEmbedder(bank=bank)
    features = embedder.embed_features(embedder.encode(image[None]))
    cosines = (features @ embedder.embed_texts(library.texts).T)[0]
    corrected = Recommender(embedder, library).recommend(image)
    plain = Recommender(embedder, library, correction="none").recommend(image)
    assert [one.caption for one in corrected] == ["Special", "Popular"]
    assert [one.similarity for one in plain] == pytest.approx(sorted(cosines.tolist(), reverse=True))
    gain = {one.caption: one.score - one.similarity for one in corrected}
    assert gain["Popular"] < gain["Special"]


def test_only_captions_of_a_theme(recommender):
    found = recommender.recommend(photo("red"), themes=["nature"])
    assert {one.theme for one in found} == {"nature"} and len(found) == 2
    with pytest.raises(ConfigError, match="natures"):
        recommender.recommend(photo("red"), themes=["natures"])


def test_captions_without_a_known_word_are_never_recommended(recommender):
    assert len(recommender.recommend(photo("red"), top=5)) == 4
    assert recommender.unknown == {4} and "Off the grid" in recommender.notes[0]
    with pytest.raises(DataError, match="column description"):
        Recommender(ToyEmbedder(), Library.of(["Nothing known"]))
    with pytest.raises(ConfigError):
        Recommender(ToyEmbedder(), Library.of(["a", "b red"], themes=["x", ""])).recommend(photo("red"), themes=["x"])


def test_a_caption_with_several_descriptions_is_recommended_once():
    library = Library.of(["Hot", "Hot", "Cold"], ["red", "yellow", "blue"])
    found = Recommender(ToyEmbedder(), library).recommend(photo("yellow"))
    assert [(one.caption, one.description) for one in found] == [("Hot", "yellow"), ("Cold", "blue")]


def test_diverse_recommendations_collapse_near_duplicates():
    library = Library.of(["So red.", "Very red indeed", "So very red.", "Blue"], ["red", "red", "red yellow", "blue"])
    recommender = Recommender(ToyEmbedder(), library)
    assert [one.caption for one in recommender.recommend(photo("red"))[:2]] == ["So red.", "Very red indeed"]
    diverse = recommender.recommend(photo("red"), diverse=True)
    assert [one.caption for one in diverse] == ["So red.", "Blue"]
    assert [one.rank for one in diverse] == [1, 2]


def test_several_images_at_once_give_the_same(recommender):
    features = recommender.embedder.encode(np.stack([photo("red"), photo("blue")]))
    both = recommender.recommend_features(features, top=3)
    assert [one.caption for one in both[1]] == [one.caption for one in recommender.recommend(photo("blue"), top=3)]
    assert both == recommender.recommend_vectors(recommender.embedder.embed_features(features), top=3)


def test_sources_of_images(recommender, tmp_path):
    Image.fromarray(photo("green")).save(tmp_path / "a.png")
    raw = (tmp_path / "a.png").read_bytes()
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), raw, Image.fromarray(photo("green"))):
        assert recommender.recommend(source, top=1)[0].caption == "Go green!"
    with pytest.raises(ImageError):
        recommender.recommend(raw[:40])


@pytest.mark.parametrize("top", [0, -1, 1001])
def test_numbers_out_of_range(recommender, top):
    with pytest.raises(ConfigError):
        recommender.recommend(photo("red"), top=top)


def test_corrections_need_a_bank():
    assert Recommender(ToyEmbedder(), LIBRARY).correction == "none"
    assert Recommender(ToyEmbedder(), LIBRARY, correction="csls", bank=BANK).correction == "csls"
    with pytest.raises(ConfigError, match="--bank"):
        Recommender(ToyEmbedder(), LIBRARY, correction="csls")
    with pytest.raises(ConfigError, match="did you mean 'csls'"):
        Recommender(ToyEmbedder(bank=BANK), LIBRARY, correction="clsl")
