import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.errors import FeatureError
from capsmith.vision.store import FeatureStore, Manifest

RNG = np.random.default_rng(0)
IDS = [f"bilder/{n:02d} ü.jpg" for n in range(10)]
PRINT = {"format": 1, "type": "vgg16", "layer": "last", "weights": "imagenet"}


@pytest.fixture(params=["pooled", "grid"])
def made(request, tmp_path):
    shape = (10, 6) if request.param == "pooled" else (10, 4, 6)
    features = RNG.normal(size=shape).astype(np.float32)
    return FeatureStore.create(tmp_path / "store", IDS, features, PRINT), features


def test_a_written_store_reads_back(made):
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


def test_the_files_are_as_documented(made):
    store, features = made
    if features.ndim == 2:
        with (store.path / "features.pkl").open("rb") as file:
            plain = pickle.load(file)  # trusted: this test has just written it
        assert list(plain) == IDS and plain[IDS[4]].dtype == np.float32 and plain[IDS[4]].shape == (6,)
        np.testing.assert_array_equal(plain[IDS[4]], features[4])
    else:
        plain = np.load(store.path / "features.npy", mmap_mode="r")
        assert plain.dtype == np.float16
        np.testing.assert_array_equal(plain, features.astype(np.float16))
    assert json.loads((store.path / "manifest.json").read_text(encoding="utf-8"))["fingerprint"] == PRINT


def test_missing_images_are_named(made):
    store, _ = made
    with pytest.raises(FeatureError, match=r"new.jpg \(run `capsmith extract`"):
        store.rows([IDS[0], "new.jpg"])
    with pytest.raises(FeatureError, match="2 images .*: a.jpg"):
        store.rows(["a.jpg", "b.jpg"])


def test_another_encoder_is_refused_with_what_differs(made):
    store, _ = made
    with pytest.raises(
        FeatureError,
        match=r"\(layer: last instead of fc2, weights: imagenet instead of none\)",
    ):
        FeatureStore.open(store.path, PRINT | {"layer": "fc2", "weights": "none"})
    FeatureStore.open(store.path)  # no encoder given, none refused


def test_a_store_reports_unreadable_images(tmp_path):
    store = FeatureStore.create(tmp_path, ["a", "b"], np.ones((2, 3)), PRINT)
    manifest = Manifest.read(store.path)
    manifest.ids[0] = None
    manifest.broken["a"] = {"reason": "a.jpg: the file is empty", "size": 0}
    manifest.write(store.path)
    store = FeatureStore.open(tmp_path)
    assert store.ids == ["b"] and store.missing == {"a": "a.jpg: the file is empty"}
    np.testing.assert_array_equal(store.rows(["b"]), [1])
    with pytest.raises(FeatureError, match="the file is empty"):
        store.rows(["a"])


def test_no_store_and_unfinished_store(tmp_path):
    with pytest.raises(FeatureError, match="capsmith extract"):
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
    with pytest.raises(FeatureError, match="manifest"):
        FeatureStore.open(store.path)


LAYOUTS = {
    "as C": lambda grid: grid,
    "as Fortran": np.asfortranarray,
    "transposed": lambda grid: np.ascontiguousarray(grid.T).T,
    "two axes exchanged": lambda grid: np.ascontiguousarray(grid.swapaxes(1, -1)).swapaxes(1, -1),
    "backwards": lambda grid: grid[::-1].copy()[::-1],
    "every other": lambda grid: np.repeat(grid, 2, axis=0)[::2],
    "big-endian": lambda grid: grid.astype(">f4"),
    "whole numbers": lambda grid: grid.astype(np.int64),
    "lists": lambda grid: grid.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(10, 6), (10, 4, 6), (10, 1, 6), (1, 4, 6), (10, 4, 1)])
def test_every_memory_layout_round_trips(tmp_path, layout, shape):
    features = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    given = LAYOUTS[layout](features)
    np.testing.assert_array_equal(given, features)
    ids = IDS[: shape[0]]
    for store in (FeatureStore.create(tmp_path, ids, given), FeatureStore.open(tmp_path)):
        np.testing.assert_array_equal(store.gather(store.rows(ids)), features)


ONES = np.ones((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("ids", "features", "says"),
    [
        (["a"], ONES, r"shape \(2, 3, 4\).* 1 ids"),
        (["a", "b"], ONES[0, 0], r"shape \(4,\)"),
        (["a", "b"], ONES[None], r"shape \(1, 2, 3, 4\)"),
        (["a", "b"], ONES[:, :, :0], r"shape \(2, 3, 0\)"),
        (["a", "a"], ONES, "ids: duplicate 'a'"),
        (["a", 3], ONES, "ids must be a list of strings"),
        ("ab", ONES, "ids must be a list of strings"),
        (["a", "\ud83d"], ONES, "ids: .*surrogate"),
        (["a", "b"], ONES * np.nan, r"\(0, 0, 0\) is nan: float16"),
        (["a", "b"], ONES * 1e5, r"\(0, 0, 0\) is 100000: float16 .*65504"),
        (["a", "b"], ONES[0, :2] * np.float64(1e300), r"\(0, 0\) is 1e\+300: float32"),
        (["a", "b"], ONES.astype(complex), "complex128"),
        (["a", "b"], ONES.astype(str), "<U32"),
        (["a", "b"], ONES > 0, "bool"),
        (["a", "b"], [[1.0], [1.0, 2.0]], "array"),
        (["a", "b"], None, "shape"),
    ],
)
def test_invalid_features_write_no_file(tmp_path, ids, features, says):
    with pytest.raises(FeatureError, match=says) as caught:
        FeatureStore.create(tmp_path / "store", ids, features)
    assert "\n" not in str(caught.value) and not (tmp_path / "store").exists()


def test_an_older_grid_in_fortran_order_is_refused(tmp_path):
    store = FeatureStore.create(tmp_path, ["a", "b"], ONES)
    np.save(tmp_path / "features.npy", np.asfortranarray(ONES.astype(np.float16)))
    with pytest.raises(FeatureError, match="features.npy.*Fortran"):
        FeatureStore.open(store.path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_grids_whose_numbers_are_not_finite_are_noticed_when_they_are_read(tmp_path, value):
    store = FeatureStore.create(tmp_path, ["a", "b", "c"], np.full((3, 3, 4), 65504.0))
    grid = np.lib.format.open_memmap(tmp_path / "features.npy", mode="r+")
    grid[1, 2, 3] = value
    grid.flush()
    store = FeatureStore.open(tmp_path)
    assert store.gather(store.rows(["a", "c"])).max() == 65504
    with pytest.raises(FeatureError, match="features.npy is damaged: .* for b; delete"):
        store.gather(store.rows(["a", "b"]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pooled_features_that_are_not_finite_are_noticed_on_opening(tmp_path, value):
    FeatureStore.create(tmp_path, ["a", "b"], np.ones((2, 3)))
    vectors = {"a": np.ones(3, np.float32), "b": np.array([1, value, 1], np.float32)}
    (tmp_path / "features.pkl").write_bytes(pickle.dumps(vectors))
    with pytest.raises(FeatureError, match="features.pkl is damaged: .* for b; delete"):
        FeatureStore.open(tmp_path)


def test_opening_a_grid_does_not_read_it(tmp_path):
    FeatureStore.create(tmp_path, ["a", "b"], ONES)
    manifest = Manifest.read(tmp_path)
    manifest.ids, manifest.sizes = [f"{n}" for n in range(10**4)], [1] * 10**4
    manifest.shape = (1000, 1000)
    manifest.write(tmp_path)
    header = {"descr": "<f2", "fortran_order": False, "shape": (10**4, 1000, 1000)}
    with (tmp_path / "features.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2 * 10**10)  # 20 GB, sparse
    store = FeatureStore.open(tmp_path)
    assert store.gather(np.array([9999])).shape == (1, 1000, 1000)


def test_a_hostile_pickle_in_a_store_is_refused(tmp_path):
    store = FeatureStore.create(tmp_path / "s", ["a"], np.ones((1, 3)), PRINT)
    mark = tmp_path / "executed"
    (store.path / "features.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    with pytest.raises(FeatureError, match="refused: .*os.system"):
        FeatureStore.open(store.path)
    assert not mark.exists()


def test_reading_imports_no_keras():
    import subprocess
    import sys

    code = (
        "import sys, capsmith.vision.store, capsmith.vision.extraction; print([m for m in sys.modules if m in "
        "('keras', 'tensorflow', 'jax', 'torch')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# --- properties: any names and numbers --------------------------------------------------------------------------------

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
def test_a_store_behaves_like_a_dictionary(tmp_path_factory, data):
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
