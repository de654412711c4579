"""The search with faiss: recall on clustered vectors, and folders that are stale, damaged or foreign."""

import builtins
import json
import shutil

import numpy as np
import pytest

from capsmith.core.errors import FeatureError, MissingExtraError
from capsmith.core.locks import locked
from capsmith.retrieval.vectors import ExactSearch, FaissSearch, search_of
from tests.support.vectors import full_product, queries_for, unit, worlds

pytest.importorskip("faiss")


def clustered(count, seed=0, size=32):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).normal(size=(150, size))
    return unit(centres[rng.integers(150, size=count)] + rng.normal(size=(count, size)) * 0.4).astype(np.float16)


@pytest.fixture(scope="module")
def vectors():
    return clustered(20_000)


@pytest.fixture(scope="module")
def search(vectors):
    return FaissSearch.build(vectors)


@pytest.fixture
def few_lists(monkeypatch):
    """A tenth of the vectors is compared, as among 650,000."""
    monkeypatch.setattr("capsmith.retrieval.vectors.faiss_search._COMPARED", 2000)


def recall(found, true):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, true, strict=True)])


def test_recall_on_clustered_vectors(vectors, search, few_lists):
    queries = clustered(100, seed=1).astype(np.float32)
    true, cosines = ExactSearch(vectors).nearest(queries, 10)
    found, similarity = search.nearest(queries, 10)
    assert recall(found, true) >= 0.95
    same = found == true
    np.testing.assert_array_equal(similarity[same], cosines[same])  # cosines are exact
    assert (np.diff(similarity) <= 0).all() and all(len(set(row)) == 10 for row in found)


def test_too_few_lists_would_be_noticed(vectors, search, monkeypatch):
    monkeypatch.setattr("capsmith.retrieval.vectors.faiss_search._COMPARED", 0)
    queries = unit(np.random.default_rng(2).normal(size=(60, 32))).astype(np.float32)
    assert recall(search.nearest(queries, 10)[0], ExactSearch(vectors).nearest(queries, 10)[0]) < 0.9


@pytest.mark.parametrize("subset", [40, 9_000])
def test_a_subset_is_searched(vectors, search, subset, few_lists):
    queries = clustered(20, seed=1).astype(np.float32)
    rows = np.random.default_rng(3).permutation(len(vectors))[:subset]
    found, _ = search.nearest(queries, 10, rows)
    assert found.shape == (20, 10) and np.isin(found, rows).all()
    assert recall(found, full_product(vectors, queries, 10, rows)[0]) >= 0.95


@pytest.mark.parametrize("world", worlds())
def test_all_rows_are_found_where_all_are_asked_for(world):
    vectors = worlds()[world][:300].astype(np.float32)
    queries = queries_for(vectors)
    found = FaissSearch.build(vectors).nearest(queries, 300)
    for some, true in zip(found, full_product(vectors, queries, 300), strict=True):
        np.testing.assert_array_equal(some, true)


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    vectors, folder = clustered(3000), tmp_path_factory.mktemp("built") / "lists"
    return vectors, folder, FaissSearch.build(vectors, folder).nearest(vectors[:9], 5)


@pytest.fixture
def built(original, tmp_path):
    """Vectors, a folder with their index, and what a query finds in it."""
    vectors, folder, found = original
    shutil.copytree(folder, tmp_path / "lists")
    return vectors, tmp_path / "lists", found


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".npz", ".json"))


def test_what_is_loaded_finds_the_same_and_nothing_is_trained_again(built, monkeypatch):
    vectors, folder, found = built
    monkeypatch.setattr("capsmith.retrieval.vectors.inverted_lists.Quantizer.train", None)
    for loaded in (FaissSearch.load(vectors, folder), search_of(vectors, "faiss", folder)):
        for some, true in zip(loaded.nearest(vectors[:9], 5), found, strict=True):
            np.testing.assert_array_equal(some, true)


def test_appended_vectors_are_added_and_kept(built, monkeypatch):
    vectors, folder, _ = built
    monkeypatch.setattr("capsmith.retrieval.vectors.inverted_lists.Quantizer.train", None)
    more = np.concatenate([vectors, clustered(500, seed=8)])
    before = {name: (folder / name).stat().st_mtime_ns for name in names(folder) if name.endswith(".npz")}
    added = FaissSearch.load(more, folder)
    for search in (added, FaissSearch.load(more, folder)):
        assert search.nearest(more[[3, 3400]].astype(np.float32), 1)[0].tolist() == [[3], [3400]]
    assert before == {name: (folder / name).stat().st_mtime_ns for name in before}
    assert len(names(folder)) == 4 and json.loads((folder / "lists.json").read_text())["rows"] == 3500


@pytest.mark.parametrize("change", ["other", "fewer", "many more"])
def test_the_index_of_other_vectors_is_built_again(built, change):
    vectors, folder, _ = built
    other = {"other": vectors.copy(), "fewer": vectors[:2000].copy(), "many more": clustered(6001)}[change]
    other[1500] = -other[1500]
    if change == "many more":
        other[:3000] = vectors
    with pytest.raises(FeatureError):
        FaissSearch.load(other, folder)
    search = FaissSearch.open(other, folder)
    assert search.nearest(other[1500:1501], 1)[0] == 1500 and len(names(folder)) == 3  # old files are gone
    FaissSearch.load(other, folder)


def rewritten(path, **changes):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{name: changes.get(name, lambda x: x)(array) for name, array in arrays.items()})


def first_set(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


DAMAGE = {
    "no manifest": lambda part, quantizer, manifest: manifest.unlink(),
    "no part": lambda part, quantizer, manifest: part.unlink(),
    "truncated part": lambda part, quantizer, manifest: part.write_bytes(part.read_bytes()[:-900]),
    "flipped byte": lambda part, quantizer, manifest: part.write_bytes(
        part.read_bytes()[:5000] + bytes([part.read_bytes()[5000] ^ 1]) + part.read_bytes()[5001:]
    ),
    "a row that does not exist": lambda part, quantizer, manifest: rewritten(part, rows=first_set(3000)),
    "a row twice": lambda part, quantizer, manifest: rewritten(part, rows=lambda rows: rows * 0),
    "a list that does not exist": lambda part, quantizer, manifest: rewritten(part, lists=lambda x: x + 10**6),
    "a negative list": lambda part, quantizer, manifest: rewritten(part, lists=first_set(-1)),
    "lists out of order": lambda part, quantizer, manifest: rewritten(part, lists=lambda x: x[::-1]),
    "too few codes": lambda part, quantizer, manifest: rewritten(part, codes=lambda x: x[:-1]),
    "narrow codes": lambda part, quantizer, manifest: rewritten(part, codes=lambda x: x[:, :-1]),
    "NaN in a centroid": lambda part, quantizer, manifest: rewritten(quantizer, centroids=first_set(np.nan)),
    "no centroids": lambda part, quantizer, manifest: rewritten(quantizer, centroids=lambda x: x[:0]),
    "infinite ranges": lambda part, quantizer, manifest: rewritten(quantizer, ranges=first_set(np.inf)),
    "few ranges": lambda part, quantizer, manifest: rewritten(quantizer, ranges=lambda x: x[:3]),
    "not JSON": lambda part, quantizer, manifest: manifest.write_text("{"),
    "a list as manifest": lambda part, quantizer, manifest: manifest.write_text("[]"),
    "a path as part": lambda part, quantizer, manifest: manifest.write_text(
        json.dumps(json.loads(manifest.read_text()) | {"parts": [str(part.resolve())]})
    ),
    "a number as part": lambda part, quantizer, manifest: manifest.write_text(
        json.dumps(json.loads(manifest.read_text()) | {"parts": [7]})
    ),
    "no parts": lambda part, quantizer, manifest: manifest.write_text(
        json.dumps(json.loads(manifest.read_text()) | {"parts": []})
    ),
    "another version": lambda part, quantizer, manifest: manifest.write_text(
        json.dumps(json.loads(manifest.read_text()) | {"format": 2})
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_hostile_folder_is_refused(built, damage):
    vectors, folder, _ = built
    DAMAGE[damage](next(folder.glob("part-*")), next(folder.glob("quantizer-*")), folder / "lists.json")
    with pytest.raises(FeatureError) as error:
        FaissSearch.load(vectors, folder)
    assert len(str(error.value).splitlines()) == 1


def test_a_damaged_folder_is_built_again(built):
    vectors, folder, found = built
    DAMAGE["truncated part"](next(folder.glob("part-*")), None, None)
    np.testing.assert_array_equal(FaissSearch.open(vectors, folder).nearest(vectors[:9], 5)[0], found[0])
    FaissSearch.load(vectors, folder)


def test_a_folder_that_another_process_builds_is_left_alone(built):
    vectors, folder, _ = built
    with locked(folder, "busy", FeatureError):
        with pytest.raises(FeatureError, match="another process"):
            FaissSearch.build(vectors, folder)
        FaissSearch.load(vectors, folder)  # reading needs no lock


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.0])
def test_vectors_that_are_not_unit_vectors_are_refused(bad):
    vectors = clustered(500)
    vectors[411, 3] = bad
    with pytest.raises(FeatureError, match="411"):
        FaissSearch.build(vectors)


def test_a_missing_faiss_is_one_line_with_the_installation(vectors, monkeypatch):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "faiss":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'capsmith\[faiss\]'"):
        search_of(vectors, "faiss")
