import numpy as np
from PIL import Image

from capsmith.deploy.recommend.photos import image_vector, photo_vectors
from tests.support.toy_embedder import COLOURS, ToyEmbedder


def test_vectors_of_files_in_batches(tmp_path):
    paths = []
    for name, colour in COLOURS.items():
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", (20, 30), colour).save(paths[-1])
        paths.append(tmp_path / f"{name}.txt")
        paths[-1].write_text("not a photo")
    embedder = ToyEmbedder()
    found = [*photo_vectors(embedder, paths, batch=4)]
    assert [one.path for one in found] == paths
    assert [one.error is None for one in found] == [path.suffix == ".png" for path in paths]
    for one in found[::2]:
        np.testing.assert_array_equal(one.vector, image_vector(ToyEmbedder(), one.path))
    assert embedder.encoded == 12  # three batches of two photos, filled up
    assert [*photo_vectors(embedder, [])] == []
