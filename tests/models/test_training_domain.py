"""Images unlike the training images are reported; similar images hardly ever."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main
from capsmith.core.errors import CheckpointError
from capsmith.models.captioner import Captioner
from capsmith.models.run import RunDirectory
from capsmith.models.training_domain import TrainingDomain
from tests.support import toy

RNG = np.random.default_rng(5)
SIZES = {"train": 90, "dev": 40, "test": 60}


class Seen:
    """Features of a few kinds of images whose variance differs strongly between directions."""

    def __init__(self, regions=0, channels=24):
        self.shape = (regions, channels) if regions else (channels,)
        self.spread = np.geomspace(5, 0.01, channels)
        self.turn = np.linalg.qr(RNG.normal(size=(channels, channels)))[0]

    def features(self, ids):
        rows = []
        for image_id in ids:
            rng = np.random.default_rng(int(image_id))
            one = (rng.normal(size=self.spread.shape) * self.spread) @ self.turn + 3
            noise = rng.normal(size=self.shape)
            rows.append(one + noise - noise.mean(axis=0, keepdims=True) if len(self.shape) == 2 else one)
        return np.array(rows, np.float32)


def ids(first, count):
    return [str(n) for n in range(first, first + count)]


@pytest.mark.parametrize("regions", [0, 4])
def test_unfamiliar_features_exceed_the_threshold(regions):
    seen = Seen(regions)
    domain = TrainingDomain.of(seen, ids(0, 400), ids(1000, 200))
    assert (domain.distances(seen.features(ids(1000, 200))) > domain.threshold).mean() <= 0.01
    assert (domain.distances(seen.features(ids(5000, 400))) > domain.threshold).mean() <= 0.03
    other = seen.features(ids(5000, 100)) + 2 * seen.turn[-1].astype(
        np.float32
    )  # a direction of low variance in training
    assert (domain.distances(other) > domain.threshold).mean() > 0.95
    np.testing.assert_allclose(domain.distances(seen.features(ids(0, 5))), 0, atol=0.05)


def test_more_channels_than_images():
    """60 images span few directions of 500 channels; the distance outside that subspace counts too."""
    seen = Seen(channels=500)
    domain = TrainingDomain.of(seen, ids(0, 60), ids(1000, 20))
    assert domain.basis.shape == (500, 15)
    assert (domain.distances(seen.features(ids(5000, 200))) > domain.threshold).mean() <= 0.05
    far = seen.features(ids(0, 5)) + 30 * RNG.normal(size=(5, 500)).astype(np.float32)
    assert (domain.distances(far) > domain.threshold).all()


@pytest.mark.parametrize("values", [np.zeros((1, 8)), np.full((1, 8), np.nan)], ids=["equal", "no numbers"])
def test_constant_or_infinite_features(values):
    seen = type("Still", (), {"features": lambda self, some: np.repeat(values, len(some), 0).astype(np.float32)})()
    domain = TrainingDomain.of(seen, ids(0, 50), ids(50, 50))
    assert domain is None if np.isnan(values).any() else domain.distances(seen.features(["1"])) <= domain.threshold


def test_too_few_images_give_no_summary():
    assert TrainingDomain.of(Seen(), ids(0, 39), ids(100, 50)) is None
    assert TrainingDomain.of(Seen(), ids(0, 50), ids(100, 9)) is None


def test_a_loaded_summary_equals_the_saved_one(tmp_path):
    seen = Seen()
    domain = TrainingDomain.of(seen, ids(0, 100), ids(1000, 30))
    path = tmp_path / "domain.npz"
    domain.save(path)
    again = TrainingDomain.load(path, 24)
    asked = seen.features(ids(7000, 9))
    np.testing.assert_allclose(again.distances(asked), domain.distances(asked), rtol=1e-4, atol=1e-3)
    assert again.threshold == domain.threshold
    with pytest.raises(CheckpointError, match="domain.npz.*25"):
        TrainingDomain.load(path, 25)
    assert TrainingDomain.load(tmp_path / "nowhere.npz", 24) is None


BROKEN = {
    "bytes": lambda _: b"PK\x03\x04 no archive",
    "a missing array": lambda arrays: arrays.pop("rest"),
    "an array too many": lambda arrays: arrays.update(more=np.zeros(3)),
    "NaN": lambda arrays: arrays["vectors"].__setitem__((0, 0), np.nan),
    "infinity": lambda arrays: arrays.update(threshold=np.float64("inf")),
    "text": lambda arrays: arrays.update(mean=np.array(["a"] * 24)),
    "integers": lambda arrays: arrays.update(basis=arrays["basis"].astype(int)),
    "complex numbers": lambda arrays: arrays.update(mean=arrays["mean"].astype(complex)),
    "dates": lambda arrays: arrays.update(threshold=np.datetime64("2020-01-01")),
    "no images": lambda arrays: arrays.update(vectors=arrays["vectors"][:0]),
    "a vector for a table": lambda arrays: arrays.update(vectors=arrays["vectors"][0]),
    "a single number": lambda arrays: arrays.update(vectors=np.float32(1)),
    "a dimension too few": lambda arrays: arrays.update(vectors=arrays["vectors"][:, 1:]),
    "a threshold below zero": lambda arrays: arrays.update(threshold=np.float64(-1)),
    "several thresholds": lambda arrays: arrays.update(threshold=np.ones(2)),
    "no deviation": lambda arrays: arrays["rest"].__setitem__(1, 0),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_summary_is_refused(tmp_path, how):
    TrainingDomain.of(Seen(), ids(0, 60), ids(1000, 20)).save(tmp_path / "domain.npz")
    with np.load(tmp_path / "domain.npz") as saved:
        arrays = {name: saved[name] for name in saved.files}
    content = BROKEN[how](arrays)
    if isinstance(content, bytes):
        (tmp_path / "domain.npz").write_bytes(content)
    else:
        np.savez(tmp_path / "domain.npz", **arrays)
    with pytest.raises(CheckpointError, match="domain.npz.*delete") as caught:
        TrainingDomain.load(tmp_path / "domain.npz", 24)
    assert "\n" not in str(caught.value)


def scaled(factor, value):
    return int(value * factor)


def shapes(root):
    """Draws each of the toy's images many times, a little larger or darker, and writes their captions."""
    (root / "images").mkdir(parents=True)
    rows = []
    colours = list(toy.COLOURS)
    for split, count in SIZES.items():
        for n in range(count):
            name, colour, shape = f"{split}_{n}.png", colours[RNG.integers(4)], toy.SHAPES[RNG.integers(3)]
            side = int(RNG.integers(34, 47))
            image = toy.image(colour, shape).resize((side, side))
            darker = Image.eval(image, partial(scaled, RNG.uniform(0.8, 1.1)))
            darker.save(root / "images" / name)
            rows.append({"image": name, "caption": f"a {colour} {shape}", "split": split})
    toy.write_captions(root / "captions.csv", rows)
    return root


def photo_like(side=40):
    """Returns blurred, grainy blobs of many colours, similar to a photograph."""
    blots = Image.fromarray(RNG.integers(0, 256, (5, 5, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(blots) + RNG.normal(0, 25, (side, side, 3))).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module", params=["frozen", "trained"])
def run(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    values = toy.settings(shapes(root / "data"), root / "cache")
    values["encoder"]["trainable"] = request.param == "trained"
    if request.param == "trained":
        values["training"] |= {"epochs": 16, "batch_size": 6, "patience": 16, "metric": "rouge"}
    values["evaluation"]["after_training"] = None
    config = toy.write_config(root / "c.yaml", values)
    assert main(["train", "--config", str(config), "--run", str(root / "run")]) == 0
    for n in range(3):
        photo_like().save(root / f"photo{n}.png")
    return root


def test_a_trained_run_recognises_unfamiliar_images(run, capsys):
    captioner = Captioner.load(run / "run")
    own = [run / "data" / "images" / f"test_{n}.png" for n in range(SIZES["test"])]
    flagged = [caption.domain.unlike_training for caption in captioner.caption(own)]
    assert np.mean(flagged) <= 0.05
    others = captioner.caption([photo_like() for _ in range(20)])
    assert np.mean([caption.domain.unlike_training for caption in others]) > 0.9
    assert others[0].domain.threshold == captioner.domain.threshold > 0


def test_the_command_warns_in_one_line(run, capsys):
    own, photos = run / "data" / "images" / "test_1.png", [str(run / f"photo{n}.png") for n in range(3)]
    assert main(["caption", str(run / "run"), photos[0]]) == 0
    out, err = capsys.readouterr()
    notes = [line for line in err.splitlines() if line.startswith("note: ")]
    assert out.count("\n") == len(notes) == 1
    assert photos[0] in notes[0]
    assert main(["caption", str(run / "run"), str(own)]) == 0
    assert "note: " not in capsys.readouterr().err
    assert main(["caption", str(run / "run"), "--json", str(own), *photos]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["unlike_training"] for row in rows] == [False, True, True, True]
    assert all((row["training_distance"] > row["training_threshold"]) == row["unlike_training"] for row in rows)
    (note,) = [line for line in err.splitlines() if "note: " in line]
    assert "3 of 4" in note and ", ".join(photos) in note and str(own) not in note


def test_a_run_without_summary_captions_without_warnings(run, capsys):
    kept = RunDirectory(run / "run").domain.read_bytes()
    RunDirectory(run / "run").domain.unlink()
    try:
        assert main(["caption", str(run / "run"), "--json", str(run / "photo0.png")]) == 0
    finally:
        RunDirectory(run / "run").domain.write_bytes(kept)
    out, err = capsys.readouterr()
    assert "unlike" not in out + err
