"""Searches over an index: scores against the embedder, thresholds, duplicates."""

import threading

import numpy as np
import pytest
from PIL import Image

from capsmith.core.errors import ConfigError, ImageError
from capsmith.deploy.search import ImageIndex, ImageIndexError, build_index
from capsmith.deploy.search.image_index import UnknownImage
from capsmith.retrieval.vectors import search as vector_search
from capsmith.retrieval.vectors.inverted_lists import Quantizer
from capsmith.vision.images import load_image
from tests.support.toy_index import picture


@pytest.fixture
def index(photos, out, toy):
    build_index(photos, out, toy)
    with ImageIndex.open(out, toy) as opened:
        yield opened


def vectors(toy, path):
    features = toy.encode(load_image(path, (16, 16))[None])
    return toy.embed_features(features)[0], toy.visual_vectors(features)[0]


def test_scores_of_a_phrase_are_the_cosines_of_the_embedder(index, photos, toy):
    hits = index.search_text("red blue", top=100)
    query = toy.embed_texts(["red blue"])[0]
    wanted = {hit.path: float(vectors(toy, photos / hit.path)[0] @ query) for hit in hits}
    assert {hit.path: hit.semantic for hit in hits} == pytest.approx(wanted, abs=2e-3)
    scores = [hit.semantic for hit in hits]
    assert len(scores) == 8 and scores == sorted(scores, reverse=True)
    assert all(hit.visual is None and hit.words is None for hit in hits)


@pytest.mark.parametrize("by", ["visual", "semantic", "both"])
def test_scores_of_an_image_and_what_ranks_it(index, photos, toy, by):
    query = picture("red", "black", seed=77)
    hits = index.search_image(query, top=100, by=by)
    features = toy.encode(load_image(query, (16, 16))[None])
    own = toy.embed_features(features)[0], toy.visual_vectors(features)[0]
    for hit in hits:
        semantic, visual = vectors(toy, photos / hit.path)
        assert (hit.semantic, hit.visual) == pytest.approx((semantic @ own[0], visual @ own[1]), abs=2e-3)
    rank = {
        "visual": lambda hit: hit.visual,
        "semantic": lambda hit: hit.semantic,
        "both": lambda hit: (hit.semantic + hit.visual) / 2,
    }[by]
    assert len(hits) == 8 and [rank(hit) for hit in hits] == sorted(map(rank, hits), reverse=True)


def test_every_kind_of_image_is_a_query(index, photos):
    path = photos / "red.png"
    with Image.open(path) as image:
        kinds = [path, str(path), path.read_bytes(), image, np.asarray(image)]
        assert {index.search_image(kind, top=1)[0].path for kind in kinds} == {"red.png"}
    with pytest.raises(ImageError):
        index.search_image(b"buy milk")


def test_a_threshold_applies_to_the_score_that_ranks(index, photos):
    hits = index.search_text("red", top=100)
    least = (hits[2].semantic + hits[3].semantic) / 2
    assert index.search_text("red", top=100, threshold=least) == hits[:3]
    assert index.search_text("red", top=2, threshold=least) == hits[:2]
    both = index.search_image(photos / "red.png", by="both", threshold=0.99)
    assert [hit.path for hit in both] == ["red.png"]


def test_near_duplicates_are_one_hit_unless_they_are_wanted_one_by_one(photos, out, toy):
    with Image.open(photos / "deep" / "red and blue.png") as image:
        image.resize((64, 64)).save(photos / "larger.jpg", quality=90)
    (photos / "same.png").write_bytes((photos / "deep" / "red and blue.png").read_bytes())
    build_index(photos, out, toy)
    names = {"deep/red and blue.png", "larger.jpg", "same.png"}
    with ImageIndex.open(out, toy) as index:
        first, second = index.search_text("red blue", top=2)
        assert {first.path, *first.duplicates} == names and second.path not in names
        assert {hit.path for hit in index.search_text("red blue", top=2, fold=False)} <= names
        # enough hits are found behind any number of duplicates
        assert len(index.search_text("red blue", top=8)) == 8


def test_many_duplicates_do_not_crowd_out_the_others(photos, out, toy):
    for number in range(60):
        with Image.open(photos / "red.png") as image:
            pixels = np.array(image)
        pixels[0, number % 16] ^= 1 + number // 16
        Image.fromarray(pixels).save(photos / f"red{number}.png")
    build_index(photos, out, toy)
    with ImageIndex.open(out, toy) as index:
        first, *others = index.search_text("red", top=3)
        assert len(first.duplicates) == 60 and len(others) == 2
        assert not any(hit.path.startswith("red") for hit in others)


def test_more_like_one_of_the_index_is_a_search_without_itself(index, photos):
    found = index.find("red.png")
    hits = index.more_like(found, top=100)
    assert [hit.path for hit in hits] == [
        hit.path for hit in index.search_image(photos / "red.png", top=100) if hit.path != "red.png"
    ]
    assert index.find(str(photos / "red.png")) == found
    for attempt in (lambda: index.more_like(999), lambda: index.path(999), lambda: index.find("nobody.png")):
        with pytest.raises(UnknownImage):
            attempt()


def test_without_its_model_only_stored_vectors_and_words_are_searched(index, out):
    with ImageIndex.open(out) as plain:
        assert plain.more_like(1) == index.more_like(1) and len(plain) == 8 and plain.captioned() == 0
        with pytest.raises(ImageIndexError):
            plain.search_text("red")


def test_wrong_arguments(index, photos):
    for attempt in (
        lambda: index.search_text("red", top=0),
        lambda: index.search_image(photos / "red.png", by="beauty"),
        lambda: index.more_like(1, by=""),
    ):
        with pytest.raises(ConfigError):
            attempt()


def test_many_threads_search_while_the_index_grows(index, photos, out, toy):
    problems, stop = [], threading.Event()

    def search():
        while not stop.is_set():
            try:
                if index.search_text("yellow", top=1)[0].path != "yellow.png":
                    problems.append("another image")
            except Exception as error:
                problems.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(5):
        picture("red", "white", seed=200 + number).save(photos / f"{number}.png")
        build_index(photos, out, type(toy)(), batch_size=1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems and len(index) == 13


def test_hits_as_plain_data(index):
    values = index.search_text("red", top=1)[0].as_dict()
    assert values == {"id": values["id"], "path": "red.png", "semantic": values["semantic"], "duplicates": []}
    assert values["semantic"] == round(values["semantic"], 4)


def test_what_faiss_prepares_is_kept_in_the_index(photos, out, toy, monkeypatch, tmp_path):
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_search, "EXACT_UP_TO", 4)
    build_index(photos, out, toy)
    trained = []
    train = Quantizer.train
    monkeypatch.setattr(Quantizer, "train", lambda vectors: trained.append(len(vectors)) or train(vectors))

    def search():
        with ImageIndex.open(out, toy) as opened:
            return [hit.path for hit in opened.search_text("red", top=3)]

    hits = search()
    assert trained == [8, 8]  # semantic and visual vectors
    assert search() == hits and hits[0] == "red.png"
    assert trained == [8, 8]
    for kind in ("semantic", "visual"):  # a link could lead out of the index
        (out / f"{kind}.faiss").rename(tmp_path / kind)
        (out / f"{kind}.faiss").symlink_to(tmp_path / "elsewhere")
    assert search() == hits and trained == [8, 8, 8, 8]
    assert not (tmp_path / "elsewhere").exists()
