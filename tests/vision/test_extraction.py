import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from capsmith.core.errors import CapsmithError, FeatureError
from capsmith.vision import extraction
from capsmith.vision.cached_crops import crop_of
from capsmith.vision.config import EncoderConfig, FeaturesConfig
from capsmith.vision.extraction import extract, store_folder
from capsmith.vision.images import load_image
from capsmith.vision.store import FeatureStore, Manifest
from tests.support import fake_encoder
from tests.support.fake_encoder import SIZE, FakeEncoder, images_in, install

MOMENTS = ["before the data", "before the line", "within the line"]
AT_THE_END = ["before finishing", "before the manifest", "after the manifest"]


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.setitem(sys.modules, "capsmith.vision.encoder", None)
    install()
    FakeEncoder.calls = []


@pytest.fixture(params=["pooled", "grid"])
def encoder(request):
    return EncoderConfig(type="small_cnn", output=request.param)


def settings(path, **more):
    return FeaturesConfig(**({"store": path, "batch_size": 4} | more))


def contents(store):
    return store.ids, store.gather(store.rows(store.ids))


def same(one, other):
    assert one.ids == other.ids and one.missing == other.missing
    np.testing.assert_array_equal(contents(one)[1], contents(other)[1])


def test_every_image_has_its_own_features(encoder, tmp_path):
    images = images_in(tmp_path / "images")
    store = extract(images, encoder, settings(tmp_path / "store"))
    direct = FakeEncoder(encoder).encode(np.stack([load_image(path, SIZE) for _, path in images]))
    assert store.ids == [image for image, _ in images]
    np.testing.assert_allclose(contents(store)[1], direct.astype(store.dtype), rtol=2e-3, atol=1e-3)
    assert len(np.unique(contents(store)[1].reshape(23, -1)[:, 0])) == 23
    left = sorted(path.name for path in store.path.iterdir() if not path.name.startswith("."))
    assert left == ["features.pkl" if encoder.output == "pooled" else "features.npy", "manifest.json"]


def test_all_batches_have_one_shape(encoder, tmp_path):
    extract(images_in(tmp_path / "p"), encoder, settings(tmp_path / "s"))
    assert FakeEncoder.calls == [4] * 6
    FakeEncoder.calls = []
    extract(images_in(tmp_path / "p", 3), encoder, settings(tmp_path / "few", batch_size=64))
    assert FakeEncoder.calls == [3]


def test_a_complete_store_is_reused_without_building_the_network(encoder, tmp_path, monkeypatch, log_lines):
    images = images_in(tmp_path / "p")
    first = extract(images, encoder, settings(tmp_path / "s"))
    monkeypatch.setitem(sys.modules, "capsmith.vision.encoder", None)  # importing it now fails
    log_lines.clear()
    same(extract(images, encoder, settings(tmp_path / "s")), first)
    assert len(log_lines) == 1 and str(tmp_path / "s") in log_lines[0]


@pytest.mark.parametrize(("moment", "batch"), [(m, b) for m in MOMENTS for b in (1, 6)] + [(m, 0) for m in AT_THE_END])
def test_a_killed_extraction_resumes_to_the_same_features(encoder, tmp_path, moment, batch):
    images = images_in(tmp_path / "p")
    whole = extract(images, encoder, settings(tmp_path / "whole"))
    script = [sys.executable, fake_encoder.__file__]
    arguments = [str(tmp_path / "p"), str(tmp_path / "killed"), encoder.output, moment, str(batch)]
    source = str(Path(extraction.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": source + os.pathsep + os.environ.get("PYTHONPATH", "")}
    assert subprocess.run(script + arguments, env=environment, capture_output=True).returncode == -9
    if moment != "after the manifest":
        with pytest.raises(FeatureError):
            FeatureStore.open(tmp_path / "killed")
    FakeEncoder.calls = []
    same(extract(images, encoder, settings(tmp_path / "killed")), whole)
    done = batch - 1 if batch else 6
    assert len(FakeEncoder.calls) == 6 - done  # only the lost batch is recomputed
    assert not (tmp_path / "killed" / "journal.jsonl").exists()


def test_new_and_changed_images_are_extracted(encoder, tmp_path):
    folder = tmp_path / "p"
    few = extract(images_in(folder, 10), encoder, settings(tmp_path / "s"))
    before = contents(few)[1]
    images = images_in(folder, 23)
    images[2][1].write_bytes(images[20][1].read_bytes())
    FakeEncoder.calls = []
    store = extract(images, encoder, settings(tmp_path / "s"))
    assert len(FakeEncoder.calls) == 4  # 13 new ones and a changed one
    assert sorted(store.ids) == [image for image, _ in images]
    after = store.gather(store.rows([f"{n:02d}.png" for n in range(10)]))
    changed = np.abs(after.astype(float) - before).reshape(10, -1).max(1) > 0
    assert changed.tolist() == [n == 2 for n in range(10)]
    np.testing.assert_array_equal(after[2], store.gather(store.rows(["20.png"]))[0])
    fresh = extract(images, encoder, settings(tmp_path / "fresh"))
    np.testing.assert_allclose(contents(fresh)[1], store.gather(store.rows(fresh.ids)), rtol=2e-3, atol=1e-3)


def test_fewer_images_use_the_same_store(encoder, tmp_path):
    images = images_in(tmp_path / "p")
    extract(images, encoder, settings(tmp_path / "s"))
    FakeEncoder.calls = []
    assert len(extract(images[:5], encoder, settings(tmp_path / "s"))) == 23 and not FakeEncoder.calls


def test_unreadable_images_are_reported_and_left_out(encoder, tmp_path, log_lines):
    images = images_in(tmp_path / "p")
    images[3][1].write_bytes(images[3][1].read_bytes()[:400])
    images[9][1].write_text("no image")
    images.append(("gone.png", tmp_path / "p" / "gone.png"))
    lines = log_lines
    store = extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.2))
    assert set(store.missing) == {"03.png", "09.png", "gone.png"} and len(store) == 21
    assert "No such file" in store.missing["gone.png"] and "truncated" in store.missing["03.png"]
    assert sum("skipped" in line and str(tmp_path / "p") in line for line in lines) == 3
    good = [image for image, _ in images if image in store]
    direct = FakeEncoder(encoder).encode(np.stack([load_image(dict(images)[image], SIZE) for image in good]))
    np.testing.assert_allclose(store.gather(store.rows(good)), direct.astype(store.dtype), rtol=2e-3, atol=1e-3)
    FakeEncoder.calls = []
    extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.2))
    assert not FakeEncoder.calls  # they are not read again …
    images[9][1].write_bytes(images[8][1].read_bytes())
    mended = extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.2))
    assert "09.png" in mended and "09.png" not in mended.missing  # … unless they change
    images[0][1].write_text("spoilt later")
    spoilt = extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.2))
    assert "00.png" not in spoilt and "00.png" in spoilt.missing and len(spoilt) == 21


def test_too_many_unreadable_images_stop_extraction(encoder, tmp_path):
    images = images_in(tmp_path / "p")
    for _, path in images[4:9]:
        path.write_text("no image")
    with pytest.raises(FeatureError, match=r"features.max_bad_fraction .*\(0.1\).*04.png"):
        extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.1))
    assert len(FakeEncoder.calls) < 4  # as soon as that is certain
    store = extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.5))
    assert len(store) == 18 and FakeEncoder.calls.count(4) == 5
    with pytest.raises(FeatureError, match="5 of 23 images"):
        extract(images, encoder, settings(tmp_path / "s", max_bad_fraction=0.1))


def test_a_wrong_folder_stops_extraction_before_the_network_is_built(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "capsmith.vision.encoder", None)
    images = [(f"{n}.jpg", tmp_path / "nowhere" / f"{n}.jpg") for n in range(5)]
    with pytest.raises(FeatureError, match=r"5 of 5 images .*0.jpg: no such file"):
        extract(images, encoder, settings(tmp_path / "s"))


def test_two_encoders_never_mix(tmp_path):
    images = images_in(tmp_path / "p")
    one, other = EncoderConfig(type="small_cnn"), EncoderConfig(type="small_cnn", image_size=64)
    store = extract(images, one, settings(tmp_path / "s"))
    before = (store.path / "features.pkl").read_bytes()
    with pytest.raises(FeatureError, match=r"size: \[96, 96\] instead of \[64, 64\]"):
        extract(images, other, settings(tmp_path / "s"))
    assert (store.path / "features.pkl").read_bytes() == before
    cached = FeaturesConfig(cache=tmp_path / "cache", batch_size=4)
    assert extract(images, one, cached).path != extract(images, other, cached).path


def test_an_unfinished_store_of_another_encoder_is_refused(tmp_path):
    images = images_in(tmp_path / "p")
    images[20][1].write_text("no image")
    config = settings(tmp_path / "s", max_bad_fraction=0)
    with pytest.raises(FeatureError, match="cannot be read"):
        extract(images, EncoderConfig(type="small_cnn"), config)
    with pytest.raises(FeatureError, match="output: "):
        extract(images, EncoderConfig(type="small_cnn", output="grid"), config)


def test_cached_stores_are_separated_by_encoder_output_and_folder(tmp_path):
    cache = FeaturesConfig(cache=tmp_path)
    here, there = ([("a", tmp_path / name / "a.jpg")] for name in ("here", "there"))
    pooled, grid = (EncoderConfig(type="small_cnn", output=output) for output in ("pooled", "grid"))
    names = {store_folder(p, e, cache).name for p in (here, there) for e in (pooled, grid)}
    assert len(names) == 4 and all(name.startswith(("small_cnn-pooled-", "small_cnn-grid-")) for name in names)
    assert store_folder(here, pooled, cache) == store_folder([*here, ("b", tmp_path / "here" / "b.jpg")], pooled, cache)


def test_a_full_disk_is_reported_and_a_later_run_resumes(encoder, tmp_path):
    resource = pytest.importorskip("resource")
    images = images_in(tmp_path / "p")
    whole = extract(images, encoder, settings(tmp_path / "whole"))
    FakeEncoder.calls = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 128 + 11 * 20 * (4 if encoder.output == "pooled" else 2)  # bytes: two batches and most of a third
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # limits the file size, as on a full disk
        with pytest.raises(CapsmithError, match="cannot write .*: File too large") as found:
            extract(images, encoder, settings(tmp_path / "s"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(found.value)
    same(extract(images, encoder, settings(tmp_path / "s")), whole)


def test_features_that_are_not_numbers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeEncoder, "encode", lambda self, pixels: np.full((len(pixels), 4, 5), 1e6, np.float32))
    with pytest.raises(FeatureError, match="too large for float16"):
        extract(
            images_in(tmp_path / "p"),
            EncoderConfig(type="small_cnn", output="grid"),
            settings(tmp_path / "s"),
        )


def test_two_processes_do_not_write_into_one_store(encoder, tmp_path):
    pytest.importorskip("fcntl")
    from capsmith.vision.journal import locked_store

    with locked_store(tmp_path / "s"), pytest.raises(FeatureError, match=str(tmp_path / "s")):
        extract(images_in(tmp_path / "p"), encoder, settings(tmp_path / "s"))


def test_ids_must_be_unique(encoder, tmp_path):
    images = images_in(tmp_path / "p", 4)
    assert len(extract([*images, *images], encoder, settings(tmp_path / "s"))) == 4
    with pytest.raises(FeatureError, match="00.png"):
        extract([*images, ("00.png", images[1][1])], encoder, settings(tmp_path / "s"))
    with pytest.raises(FeatureError, match="no images"):
        extract([], encoder, settings(tmp_path / "s"))


def test_a_cached_crop_has_its_own_store(encoder, tmp_path):
    """Features of a view are those of the cropped, mirrored pixels, and stand beside those of the images."""
    images = images_in(tmp_path / "images", 5)
    plain = extract(images, encoder, settings(tmp_path / "store"))
    view = extract(images, encoder, settings(tmp_path / "store"), crop=1)
    assert view.path != plain.path and view.fingerprint == plain.fingerprint | {"view": 1}
    pixels = [load_image(path, SIZE, crop=crop_of(image, 1)) for image, path in images]
    direct = FakeEncoder(encoder).encode(np.stack(pixels))
    np.testing.assert_allclose(contents(view)[1], direct.astype(view.dtype), rtol=2e-3, atol=1e-3)
    assert not np.allclose(contents(view)[1], contents(plain)[1], atol=1e-2)
    with pytest.raises(FeatureError, match="view"):
        FeatureStore.open(view.path, plain.fingerprint)


def test_the_manifest_records_file_sizes(tmp_path):
    images = images_in(tmp_path / "p", 4)
    store = extract(images, EncoderConfig(type="small_cnn"), settings(tmp_path / "s"))
    assert Manifest.read(store.path).file_sizes() == {image: path.stat().st_size for image, path in images}
