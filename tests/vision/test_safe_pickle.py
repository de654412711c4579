import io
import os
import pickle
import pickletools

import numpy as np
import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.safe_pickle import load_arrays

FEATURES = {f"{n}.jpg": np.arange(4, dtype=np.float32) + n for n in range(3)}


def load(data: bytes):
    return load_arrays(io.BytesIO(data), "features.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_containers_round_trip(protocol):
    value = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": [1, 2.5, "x", None, True],
        "c": (
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.array(3, ">i4"),
            np.zeros((0, 4), np.float32),
        ),
    }
    found = load(pickle.dumps(value, protocol))
    assert found["b"] == value["b"] and isinstance(found["c"], tuple)
    for one, other in ((found["a"], value["a"]), *zip(found["c"], value["c"], strict=True)):
        assert one.dtype.newbyteorder("=") == other.dtype.newbyteorder("=") and one.shape == other.shape
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(("old", "new"), [("numpy._core", "numpy.core"), ("numpy.core", "numpy._core")])
def test_pickles_of_numpy_1_and_2_are_read(protocol, old, new):
    """Rewrites the module's name, with its length byte, into what the other numpy writes."""
    data = pickle.dumps(FEATURES, protocol)
    for module in ("multiarray", "numeric"):
        was, becomes = f"{old}.{module}".encode(), f"{new}.{module}".encode()
        data = data.replace(bytes([len(was)]) + was, bytes([len(becomes)]) + becomes).replace(
            b"c" + was, b"c" + becomes
        )
    if protocol >= 4:  # the frame length depends on the names
        data = b"".join(part for part in unframed(data))
    found = load(data)
    assert found.keys() == FEATURES.keys()
    np.testing.assert_array_equal(found["2.jpg"], FEATURES["2.jpg"])


def unframed(data):
    """Drops the FRAME instructions (0x95 and eight bytes of length), which are optional."""
    yield data[:2]
    rest = data[2:]
    yield rest[9:] if rest[:1] == b"\x95" else rest


class Runs:
    def __init__(self, function, *args):
        self.what = function, args

    def __reduce__(self):
        return self.what


def hostile(folder):
    mark = folder / "executed"
    touch = f"open({str(mark)!r}, 'w').close()"
    payloads = {
        "os.system": pickle.dumps(Runs(os.system, f"touch {mark}")),
        "eval": pickle.dumps(Runs(eval, touch)),
        "exec inside a good dict": pickle.dumps(FEATURES | {"x": Runs(exec, touch)}),
        "importlib": pickle.dumps(Runs(__import__, "antigravity")),
        "numpy that runs code": b"cnumpy.testing._private.utils\nrunstring\n(S'"
        + touch.replace("'", '"').encode()
        + b"'\n}tR.",
        "numpy.load": b"cnumpy\nload\n(S'x.npy'\ntR.",
        "getattr walk": b"cbuiltins\ngetattr\n(cnumpy\ndtype\nS'__class__'\ntR.",
        "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x15ndarray.__class__.mro\x93.",
        "look-alike module": b"cnumpyish.multiarray\n_reconstruct\n.",
        "codecs with another codec": b"c_codecs\nencode\n(S'cry'\nS'rot13'\ntR.",
        "extension registry": b"\x82\x01.",
        "persistent id": b"Psomething\n.",
    }
    return mark, payloads


def test_hostile_pickles_are_refused_and_nothing_runs(tmp_path):
    mark, payloads = hostile(tmp_path)
    for name, data in payloads.items():
        if name == "codecs with another codec":  # read as plain bytes for any codec name
            assert load(data) == b"cry"
            continue
        with pytest.raises(FeatureError) as found:
            load(data)
        assert "features.pkl" in str(found.value) and "\n" not in str(found.value), name
        assert not mark.exists(), name


def test_the_payload_runs_in_an_ordinary_unpickler(tmp_path):
    """The control: the pickles refused above do execute code elsewhere."""
    mark, payloads = hostile(tmp_path)
    pickle.loads(payloads["os.system"])
    assert mark.exists()


def test_arrays_of_objects_are_refused():
    with pytest.raises(FeatureError, match="refused: .* arrays of object"):
        load(pickle.dumps({"a": np.array([{}, "x"], object)}))


def test_state_cannot_affect_later_files():
    poison = b"cnumpy._core.multiarray\n_reconstruct\n(N(dS'__kwdefaults__'\n(dS'x'\nI1\nsstb."
    assert "BUILD" in [op.name for op, _, _ in pickletools.genops(poison)]
    for _ in range(2):
        try:
            load(poison)
        except FeatureError:
            pass
    np.testing.assert_array_equal(load(pickle.dumps(FEATURES))["1.jpg"], FEATURES["1.jpg"])


@pytest.mark.parametrize("data", [b"", b"nonsense", pickle.dumps(FEATURES)[:-20], b"\x80\x05."])
def test_damaged_pickles_are_one_error(data):
    with pytest.raises(FeatureError, match="features.pkl: damaged pickle"):
        load(data)


def test_a_huge_memo_index_is_refused():
    """Found by fuzzing: an unpickler allocates its memo for the highest index used."""
    with pytest.raises(FeatureError, match="refused: .*memory"):
        load(b"\x80\x04]r\xff\xff\xff\x7f.")
