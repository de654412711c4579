"""The file of a joint embedding: written, read, and refused where it is damaged."""

import numpy as np
import pytest

from capsmith.core.errors import CheckpointError
from capsmith.retrieval.heads import ImageHead, TextHead
from capsmith.retrieval.joint_embedding import JointEmbedding

D, V, SIZE = 7, 9, 8


def normal(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def embedding(text=None, cell=""):
    image = {"mean": normal(D), "scale": normal(D), "kernel": normal(D, SIZE), "bias": normal(SIZE)}
    words = {"words": normal(V, 5), "bias": normal(SIZE), **(text or {"bag_kernel": normal(5, SIZE)})}
    bank = np.zeros((3, SIZE), np.float16)
    return JointEmbedding(ImageHead("mean", image), TextHead(cell, "max", words), normal(D), normal(D, 4), bank)


GRU = {
    **{f"{name}_kernel": normal(5, 6) for name in ("forward", "backward")},
    **{f"{name}_recurrent": normal(2, 6) for name in ("forward", "backward")},
    **{f"{name}_bias": normal(6) for name in ("forward", "backward")},
    "kernel": normal(4, SIZE),
}
CONVOLUTION = {
    "convolution_2_kernel": normal(10, 3),
    "convolution_2_bias": normal(3),
    "kernel": normal(3, SIZE),
    "bag_kernel": normal(5, SIZE),
}


@pytest.mark.parametrize(("text", "cell"), [(None, ""), (GRU, "gru"), (CONVOLUTION, "")])
def test_the_file_is_read_as_it_was_written(tmp_path, text, cell):
    made = embedding(text, cell)
    made.save(tmp_path / "e.npz")
    read = JointEmbedding.load(tmp_path / "e.npz")
    grids, tokens = normal(2, 4, D), np.array([[4, 5, 6], [8, 0, 0]])
    assert (read.embed_features(grids) == made.embed_features(grids)).all()
    assert (read.embed_tokens(tokens) == made.embed_tokens(tokens)).all()
    assert (read.visual_vectors(grids) == made.visual_vectors(grids)).all()
    assert (read.size, read.visual_size, read.channels, read.words) == (SIZE, 4, D, V)
    assert np.linalg.norm(read.visual_vectors(grids), axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("image_kernel", normal(D, SIZE + 1)),
        ("image_bias", np.full(SIZE, np.nan, np.float32)),
        ("text_words", np.full((V, 5), 1e30, np.float32)),
        ("text_kernel", normal(5, SIZE)),
        ("bank", np.full((3, SIZE), 9, np.float16)),
        ("bank", np.array(["code"])),
        ("visual_mean", None),
        ("settings", np.frombuffer(b'{"format": 1}', np.uint8)),
        ("settings", np.frombuffer(b"[", np.uint8)),
        ("settings", np.frombuffer(b'{"format":1,"image_pooling":"sum","cell":"","text_pooling":"max"}', np.uint8)),
    ],
)
def test_damaged_and_hostile_files_are_refused(tmp_path, array, value):
    embedding(GRU, "gru").save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as file:
        arrays = dict(file)
    arrays.pop(array) if value is None else arrays.update({array: value})
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(CheckpointError, match=r"e\.npz") as caught:
        JointEmbedding.load(tmp_path / "e.npz")
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path):
    for name, content in {"text.npz": b"hello", "empty.npz": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            JointEmbedding.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="missing"):
        JointEmbedding.load(tmp_path / "none.npz")
