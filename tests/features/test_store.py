import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.errors import FeatureError
from capsmith.features.store import FeatureStore, Manifest

RNG = np.random.default_rng(0)
IDS = [f"bilder/{n:02d} ü.jpg" for n in range(10)]
PRINT = {"format": 1, "type": "vgg16", "layer": "last", "weights": "imagenet"}


@pytest.fixture(params=["pooled", "grid"])
def made(request, tmp_path):
    shape = (10, 6) if request.param == "pooled" else (10, 4, 6)
    features = RNG.normal(size=shape).astype(np.float32)
    return FeatureStore.create(tmp_path / "store", IDS, features, PRINT), features


def test_what_was_written_is_read(made):
    store, features = made
    found = FeatureStore.open(store.path, PRINT)
    assert found.ids == IDS and found.shape == features.shape[1:] and len(found) == 10
    order = [IDS[n] for n in (7, 0, 7, 3)]
    expected = features[[7, 0, 7, 3]].astype(found.dtype)
    np.testing.assert_array_equal(found.gather(found.rows(order)), expected)
    assert found.dtype == (np.float32 if features.ndim == 2 else np.float16)
    assert IDS[3] in found and "other.jpg" not in found


def test_gathered_features_are_a_copy(made):
    store, _ = made
    rows = store.rows(IDS[:2])
    store.gather(rows)[:] = 99
    assert np.abs(store.gather(rows).astype(float)).max() < 99


def test_the_files_are_what_the_documentation_says(made):
    store, features = made
    if features.ndim == 2:
        with (store.path / "features.pkl").open("rb") as file:
            plain = pickle.load(file)  # written a moment ago, by this test
        assert list(plain) == IDS and plain[IDS[4]].dtype == np.float32 and plain[IDS[4]].shape == (6,)
        np.testing.assert_array_equal(plain[IDS[4]], features[4])
    else:
        plain = np.load(store.path / "features.npy", mmap_mode="r")
        assert plain.dtype == np.float16
        np.testing.assert_array_equal(plain, features.astype(np.float16))
    assert json.loads((store.path / "manifest.json").read_text(encoding="utf-8"))["fingerprint"] == PRINT


def test_missing_pictures_are_named(made):
    store, _ = made
    with pytest.raises(FeatureError, match=r"picture has no features in .*: new.jpg \(run `capsmith extract`"):
        store.rows([IDS[0], "new.jpg"])
    with pytest.raises(FeatureError, match="2 pictures have no features"):
        store.rows(["a.jpg", "b.jpg"])


def test_another_encoder_is_refused_with_what_differs(made):
    store, _ = made
    with pytest.raises(
        FeatureError,
        match=r"another encoder \(layer: last instead of fc2, weights: imagenet instead of none\)",
    ):
        FeatureStore.open(store.path, PRINT | {"layer": "fc2", "weights": "none"})
    FeatureStore.open(store.path)  # not asked, not refused


def test_unreadable_pictures_are_known(tmp_path):
    store = FeatureStore.create(tmp_path, ["a", "b"], np.ones((2, 3)), PRINT)
    manifest = Manifest.read(store.path)
    manifest.ids[0] = None
    manifest.broken["a"] = {"reason": "a.jpg: the file is empty", "size": 0}
    manifest.write(store.path)
    store = FeatureStore.open(tmp_path)
    assert store.ids == ["b"] and store.broken == {"a": "a.jpg: the file is empty"}
    np.testing.assert_array_equal(store.rows(["b"]), [1])
    with pytest.raises(FeatureError, match="the file is empty"):
        store.rows(["a"])


def test_no_store_and_unfinished_store(tmp_path):
    with pytest.raises(FeatureError, match="no such folder; run `capsmith extract`"):
        FeatureStore.open(tmp_path / "none")
    with pytest.raises(FeatureError, match="unfinished"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"fingerprint": {}}', '{"fingerprint": 1, "shape": 3}'])
def test_damaged_manifest(made, damage):
    store, _ = made
    (store.path / "manifest.json").write_text(damage)
    with pytest.raises(FeatureError, match="manifest.json is"):
        FeatureStore.open(store.path)


def test_truncated_or_missing_data(made):
    store, features = made
    path = store.path / ("features.pkl" if features.ndim == 2 else "features.npy")
    whole = path.read_bytes()
    for length in (0, 5, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FeatureError, match="damaged"):
            FeatureStore.open(store.path)
    path.unlink()
    with pytest.raises(FeatureError, match="No such file"):
        FeatureStore.open(store.path)


def test_a_grid_file_that_shrinks_while_open_is_noticed(tmp_path):
    store = FeatureStore.create(tmp_path, ["a", "b"], np.ones((2, 3, 4)), PRINT)
    path = tmp_path / "features.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FeatureError, match="truncated"):
        store.gather(store.rows(["b"]))


def test_data_of_another_manifest(made):
    store, features = made
    manifest = Manifest.read(store.path)
    manifest.shape = (*manifest.shape[:-1], 7)
    manifest.write(store.path)
    with pytest.raises(FeatureError, match="does not match its manifest"):
        FeatureStore.open(store.path)


def test_a_hostile_pickle_in_a_store_is_refused(tmp_path):
    store = FeatureStore.create(tmp_path / "s", ["a"], np.ones((1, 3)), PRINT)
    mark = tmp_path / "executed"
    (store.path / "features.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    with pytest.raises(FeatureError, match="refused: this pickle asks for os.system"):
        FeatureStore.open(store.path)
    assert not mark.exists()


def test_reading_imports_no_keras():
    import subprocess
    import sys

    code = (
        "import sys, capsmith.features.store, capsmith.features.extraction; print([m for m in sys.modules if m in "
        "('keras', 'tensorflow', 'jax', 'torch')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# --- whatever the names and the numbers -------------------------------------------------------------------------------

ODD = [
    "",
    " ",
    "a\nb",
    "../../etc/passwd",
    "C:\\x",
    "null",
    '"',
    "\x00",
    "\u2028",
    "é",
    "e\u0301",
    "狗.jpg",
    "\U0001f600",
]
NAMES = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SHAPES = st.tuples(st.integers(1, 5)) | st.tuples(st.integers(1, 3), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_store_gives_what_a_dictionary_gives(tmp_path_factory, data):
    ids = data.draw(st.lists(NAMES, min_size=1, max_size=9, unique=True))
    shape = data.draw(SHAPES)
    kind = np.float32 if len(shape) == 1 else np.float16
    numbers = st.floats(-60000, 60000, width=16)
    plain = {name: np.full(shape, data.draw(numbers), kind) for name in ids}
    for name in ids:
        plain[name].flat[-1] = data.draw(numbers)
    folder = tmp_path_factory.mktemp("store")
    FeatureStore.create(folder, ids, np.stack([plain[name] for name in ids]).astype(np.float32), PRINT)
    store = FeatureStore.open(folder, PRINT)
    assert store.ids == ids and store.shape == shape and store.dtype == kind
    asked = data.draw(st.lists(st.sampled_from(ids), max_size=12))
    found = store.gather(store.rows(asked))
    assert found.shape == (len(asked), *shape) and found.dtype == kind
    for name, row in zip(asked, found, strict=True):
        np.testing.assert_array_equal(row, plain[name])
    stranger = data.draw(NAMES)
    assert (stranger in store) == (stranger in plain)
    if stranger not in plain:
        with pytest.raises(FeatureError, match="no features in"):
            store.rows([*asked, stranger])
