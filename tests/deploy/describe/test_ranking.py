"""The images of a source, ranked: unreadable ones, repeated ones, many; vectors are remembered."""

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.deploy.describe import ranking
from capsmith.deploy.describe.parts import ImageVectors, SourceImage
from capsmith.deploy.describe.ranking import SourceRanking
from tests.support.describing import FolderSource
from tests.support.toy_embedder import ToyEmbedder
from tests.support.toy_index import make_photos


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos")


@pytest.fixture
def vectors():
    return ImageVectors(ToyEmbedder())


def similar(rank, vectors, photos, top=20):
    return rank.similar("red", vectors.vectors(photos / "red.png"), top, photos / "red.png")


def test_vectors_are_computed_once_and_again_for_a_file_that_changed(photos, vectors):
    rank = SourceRanking(FolderSource(photos), vectors)
    first = similar(rank, vectors, photos)
    encoded = vectors.embedder.encoded
    assert similar(rank, vectors, photos) == first
    assert vectors.embedder.encoded == encoded + 1  # the described image only
    (photos / "green.png").write_bytes((photos / "red.png").read_bytes())
    changed = similar(rank, vectors, photos)
    assert (changed.look[0].path.name, changed.look[0].visual) == ("green.png", pytest.approx(1))
    assert changed.meaning[0].credit == "by green" and changed.meaning[0].page == "https://example.org/green"


def test_images_that_cannot_be_read_are_left_out_with_a_line(photos, vectors, log_lines):
    (photos / "broken.png").write_text("no image")
    found = similar(SourceRanking(FolderSource(photos), vectors), vectors, photos)
    assert found.images == 5 and any("broken.png" in line for line in log_lines)


def test_an_image_that_comes_twice_is_listed_once(photos, vectors):
    source = FolderSource(photos)
    source.images = lambda query: [SourceImage(photos / "blue.png"), SourceImage(photos / "blue.png", "again")]
    assert [one.name for one in similar(SourceRanking(source, vectors), vectors, photos).meaning] == ["blue.png"]


def test_an_endless_source_is_cut(photos, vectors, monkeypatch):
    monkeypatch.setattr(ranking, "MOST", 3)
    assert similar(SourceRanking(FolderSource(photos), vectors), vectors, photos).images == 3


def test_few_vectors_are_remembered_of_many(photos, vectors, monkeypatch):
    monkeypatch.setattr(ranking, "_KEPT", 2)
    rank = SourceRanking(FolderSource(photos), vectors)
    assert similar(rank, vectors, photos).images == 5 and len(rank._known) == 2


def test_a_source_without_images_is_an_error(tmp_path, photos, vectors):
    with pytest.raises(CapsmithError, match="'red'"):
        similar(SourceRanking(FolderSource(tmp_path), vectors), vectors, photos)
