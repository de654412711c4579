"""Pickles of features from elsewhere: every layout that notebooks write, and every kind of error."""

import gc
import pickle

import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.config import FeaturesConfig
from capsmith.vision.pickle_store import PickleStore
from capsmith.vision.safe_pickle import load_arrays

IDS = [f"{number}_abc.jpg" for number in range(5)]
LAYOUTS = {
    (8,): (8,),
    (1, 8): (8,),
    (1, 1, 8): (8,),
    (1, 1, 1, 8): (8,),
    (9, 4): (9, 4),
    (1, 9, 4): (9, 4),
    (3, 3, 4): (9, 4),
    (1, 3, 3, 4): (9, 4),
    (2, 3, 4): (6, 4),
}


def features(shape=(8,), dtype="float32", ids=IDS):
    rng = np.random.default_rng(0)
    return {image: rng.normal(size=shape).astype(dtype) for image in ids}


def written(path, value, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("shape", LAYOUTS)
def test_every_layout_precision_and_protocol_is_read(tmp_path, shape, dtype, protocol):
    given = features(shape, dtype)
    store = PickleStore.open(written(tmp_path / "old.pkl", given, protocol), IDS)
    assert store.shape == LAYOUTS[shape] and len(store) == 5
    got = store.gather(store.rows(IDS[::-1]))
    assert got.dtype == ("float32" if len(store.shape) == 1 else "float16")
    tolerance = 1e-3 if "float16" in (got.dtype, dtype) else 1e-7
    for image, row in zip(IDS[::-1], got, strict=True):
        np.testing.assert_allclose(row, given[image].reshape(store.shape), rtol=tolerance, atol=tolerance)


def test_grids_are_read_row_by_row_in_any_memory_order(tmp_path):
    grid = np.arange(24, dtype="float32").reshape(2, 3, 4)
    given = {IDS[0]: grid, IDS[1]: np.asfortranarray(grid), IDS[2]: grid.transpose(2, 1, 0).copy().T}
    store = PickleStore.open(written(tmp_path / "old.pkl", given), IDS[:3])
    for row in store.gather(store.rows(IDS[:3])):
        np.testing.assert_array_equal(row, grid.reshape(6, 4))


def test_a_pickle_of_python_2_and_numpy_1(tmp_path):
    """As numpy 1.16 on Python 2.7 wrote {'1.jpg': np.array([1, 2], 'f4')} by cPickle, protocol 2."""
    content = b"\x00\x00\x80?\x00\x00\x00@"
    data = (
        b"\x80\x02}q\x01U\x051.jpgq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08" + content + b"tbs."
    )
    (tmp_path / "old.pkl").write_bytes(data)
    assert pickle.loads(data, encoding="latin1")["1.jpg"].tolist() == [1, 2]  # Python's unpickler agrees
    store = PickleStore.open(tmp_path / "old.pkl", ["1.jpg"])
    assert store.gather(store.rows(["1.jpg"])).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "as_key",
    [
        lambda image: image,
        lambda image: image.removesuffix(".jpg"),
        lambda image: f"Images/{image}",
        lambda image: f"/content/Flicker8k_Dataset/{image}",
        lambda image: f"C:\\data\\{image}",
        lambda image: image.removesuffix(".jpg") + ".JPEG",
    ],
)
def test_keys_name_images_with_or_without_ending_and_folder(tmp_path, as_key):
    given = features()
    store = PickleStore.open(written(tmp_path / "old.pkl", {as_key(i): v for i, v in given.items()}), IDS)
    for image in IDS:
        np.testing.assert_array_equal(store.gather(store.rows([image]))[0], given[image])


NAN = np.array([1, np.nan], "float32")
WRONG = {
    "a list": ([np.zeros(3)], " a list: "),
    "nothing": ({}, "no features"),
    "numbers for keys": ({1: np.zeros(3)}, " type int"),
    "tuples for keys": ({("a", "b"): np.zeros(3)}, " type tuple"),
    "text": ({"1.jpg": "features"}, " str for '1.jpg'"),
    "lists of numbers": ({"1.jpg": [1.0, 2.0]}, " list for '1.jpg'"),
    "nested dictionaries": ({"1.jpg": {"fc2": np.zeros(3)}}, " dict for '1.jpg'"),
    "none": ({"1.jpg": None}, " NoneType for '1.jpg'"),
    "integers": ({"1.jpg": np.arange(3)}, " int64 for '1.jpg'"),
    "complex numbers": ({"1.jpg": np.zeros(3, "complex64")}, " complex64 for '1.jpg'"),
    "NaN": ({"1.jpg": NAN}, "NaN or infinity for '1.jpg'"),
    "infinity": ({"1.jpg": np.array([np.inf])}, "NaN or infinity for '1.jpg'"),
    "beyond float32": ({"1.jpg": np.array([1e39])}, "NaN or infinity for '1.jpg'"),
    "two shapes": (
        {"1.jpg": np.zeros(3, "f4"), "2.jpg": np.zeros(4, "f4")},
        "(4,) for '2.jpg', but (3,) for '1.jpg'",
    ),
    "scalars": ({"1.jpg": np.array(1.0)}, "arrays of shape ()"),
    "no numbers": ({"1.jpg": np.zeros((0,), "f4")}, "arrays of shape (0,)"),
    "four axes": ({"1.jpg": np.zeros((2, 3, 3, 4), "f4")}, "arrays of shape (2, 3, 3, 4)"),
    "channels first": ({"1.jpg": np.zeros((512, 7, 7), "f4")}, "channels first"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_contents_are_refused(tmp_path, name):
    value, says = WRONG[name]
    with pytest.raises(FeatureError) as caught:
        PickleStore.open(written(tmp_path / "old.pkl", value), ["1.jpg", "2.jpg"])
    assert says in str(caught.value) and "old.pkl" in str(caught.value) and "\n" not in str(caught.value)


def test_images_without_features_are_counted_by_split(tmp_path):
    store = PickleStore.open(written(tmp_path / "old.pkl", features()), [*IDS, "x.jpg", "y.jpg"])
    assert "x.jpg" not in store and IDS[0] in store and list(store.missing) == ["x.jpg", "y.jpg"]
    store.require({"train": [*IDS, "x.jpg"]}, 0.5)
    with pytest.raises(FeatureError) as caught:
        store.require({"train": [*IDS, "x.jpg"], "dev": ["y.jpg"]}, 0.1)
    for fact in ("2 of 7 images", "1 of 6 train", "1 of 1 dev", "features.max_bad_fraction", "0.1", "'x.jpg'"):
        assert fact in str(caught.value)
    with pytest.raises(FeatureError, match="old.pkl: 'x.jpg'"):
        store.rows(["x.jpg"])


def test_large_numbers_keep_a_grid_in_float32(tmp_path):
    given = features((4, 3))
    given[IDS[1]][2, 1] = 1e6
    store = PickleStore.open(written(tmp_path / "old.pkl", given), IDS)
    assert store.dtype == "float32" and store.gather(store.rows([IDS[1]]))[0, 2, 1] == 1e6


def test_an_open_store_is_shared_until_the_file_changes(tmp_path):
    path = written(tmp_path / "old.pkl", features())
    one = PickleStore.open(path, IDS)
    assert PickleStore.open(path, IDS) is one
    assert PickleStore.open(path, IDS[:3]) is not one
    written(path, features(shape=(9,)))
    assert PickleStore.open(path, IDS).shape == (9,)
    del one
    gc.collect()


def test_features_store_is_a_folder_or_a_pickle(tmp_path):
    written(tmp_path / "old.pkl", features())
    (tmp_path / "folder.pkl").mkdir()
    written(tmp_path / "noending", features())
    names = {"old.pkl": True, "gone.pickle": True, "noending": True, "folder.pkl": False, "gone": False}
    for name, pickled in names.items():
        assert (FeaturesConfig(store=tmp_path / name).pickle is not None) == pickled, name
    assert FeaturesConfig().pickle is None


# --- memory -----------------------------------------------------------------------------------------------------------


def copies(times: int, size: int = 200_000) -> bytes:
    """Returns a pickle that builds many arrays from the same bytes by changing the byte order."""
    content = b"\x8e" + size.to_bytes(8, "little") + bytes(size) + b"\x94" + b"0"
    build = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
        b"(K\x01M" + (50_000).to_bytes(2, "little") + b"\x85cnumpy\ndtype\n(U\x02f4K\x00K\x01tR"
        b"(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89h\x00tb"
    )
    return b"\x80\x04" + content + b"](" + build * times + b"e."


def test_repeated_copies_of_a_few_bytes_are_refused(tmp_path):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(copies(2))
    with path.open("rb") as file:
        assert [len(array) for array in load_arrays(file, "bomb.pkl")] == [50_000, 50_000]
    path.write_bytes(copies(400))  # 80 MB from 240 kB
    with path.open("rb") as file, pytest.raises(FeatureError, match="refused"):
        load_arrays(file, "bomb.pkl")


def test_repeatedly_encoded_text_is_refused(tmp_path):
    text = b"X" + (200_000).to_bytes(4, "little") + b"a" * 200_000 + b"q\x000"
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x80\x02" + text + b"](" + b"c_codecs\nencode\nh\x00U\x06latin1\x86R" * 400 + b"e.")
    with path.open("rb") as file, pytest.raises(FeatureError, match="refused"):
        load_arrays(file, "bomb.pkl")


def test_an_array_of_a_huge_declared_size_is_refused(tmp_path):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x01\x85"
        b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR\x89\x8a\x06\x00\x00\x00\x00\x00\x10tb."
    )
    with path.open("rb") as file, pytest.raises(FeatureError, match="refused"):
        load_arrays(file, "bomb.pkl")
