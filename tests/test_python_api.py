"""Arguments that the Python API accepts, and errors for others."""

import copy
import io
import multiprocessing
import pickle
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import capsmith
from capsmith import (
    BeamConfig,
    CapsmithError,
    Caption,
    Captioner,
    CheckpointError,
    ConfigError,
    DataError,
    FeatureError,
    GreedyConfig,
    ImageError,
    MbrConfig,
    SampleConfig,
    evaluate,
    extract,
    load_config,
    train,
)
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.limits import images_at_once
from capsmith.evaluation.decode import decode_images
from capsmith.metrics import score
from capsmith.models.caption_model import build_model
from capsmith.models.decoding_argument import chosen_decoding
from capsmith.models.keras_member import KerasMember
from capsmith.vision.encoder import build_encoder
from tests.support import shapes
from tests.support.prepared import prepare_splits

TEST = [shapes.data() / "images" / f"{'_'.join(scene)}_4.png" for scene in shapes.SCENES]


@pytest.fixture(scope="module")
def captioner():
    return Captioner.load(shapes.trained())


@pytest.fixture(scope="module")
def features(captioner):
    return captioner.features(TEST[:4])


def same(one, other):
    assert [c.text for c in one] == [c.text for c in other]
    np.testing.assert_allclose([c.score for c in one], [c.score for c in other], rtol=1e-5, atol=1e-5)


# --- the search, by name and by settings ------------------------------------------------------------------------------


def test_a_search_by_its_name(captioner):
    for name, config in (
        ("greedy", GreedyConfig(max_length=12)),
        ("beam", BeamConfig(beam_size=3, max_length=12)),
        ("sample", SampleConfig(max_length=12)),
    ):
        same([captioner.caption(TEST[0], name)], [captioner.caption(TEST[0], config)])
    same([captioner.caption(TEST[0], "beam", beam_size=5)], [captioner.caption(TEST[0], beam_size=5)])
    assert len(captioner.caption(TEST[0], beam_size=5).alternatives) == 4
    assert len(captioner.caption(TEST[0], BeamConfig(beam_size=2), beam_size=5).alternatives) == 4
    assert captioner.caption_features(captioner.features(TEST[:1]), "greedy")[0].alternatives == ()


def test_settings_choose_the_first_search_that_takes_them():
    beam = BeamConfig(beam_size=3, max_length=12, min_length=2)
    assert chosen_decoding(None, beam, {}) is beam
    assert chosen_decoding(None, beam, {"beam_size": 4}) == beam.model_copy(update={"beam_size": 4})
    assert chosen_decoding("greedy", beam, {}) == GreedyConfig(max_length=12, min_length=2)
    greedy = GreedyConfig(max_length=9)
    assert chosen_decoding(None, greedy, {"beam_size": 3}) == BeamConfig(beam_size=3, max_length=9)
    assert chosen_decoding(None, greedy, {"top_p": 0.9}) == SampleConfig(top_p=0.9, max_length=9)
    assert chosen_decoding(None, greedy, {"max_length": 5}) == GreedyConfig(max_length=5)
    reranked = BeamConfig(beam_size=7, rerank=MbrConfig(samples=9))
    assert chosen_decoding("sample", reranked, {"samples": 3}) == SampleConfig(samples=3, rerank=MbrConfig(samples=9))
    assert chosen_decoding(None, reranked, {"rerank": None}) == BeamConfig(beam_size=7)
    assert chosen_decoding(None, beam, {"rerank": {"type": "mbr", "samples": 3}}).rerank == MbrConfig(samples=3)


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        ("gredy", {}, "'gredy' is not a search; did you mean 'greedy'"),
        ("", {}, "'' is not a search"),
        ("greedy", {"beam_size": 3}, "decoding.beam_size: unknown key"),
        (None, {"beam_sise": 3}, "decoding.beam_sise: unknown key; did you mean 'beam_size'"),
        (None, {"beam_size": 0}, "decoding.beam_size: input should be greater than or equal to 1"),
        (None, {"beam_size": "many"}, "decoding.beam_size"),
        (None, {"beam_size": 3, "groups": 2}, "cannot be split into 2 groups"),
        (None, {"min_length": 13}, "min_length 13 is more than max_length 12"),
        (None, {"max_length": 10**9}, "decoding.max_length: input should be less than or equal to 10000"),
        ("sample", {"seed": -1}, "decoding.seed"),
    ],
)
def test_a_search_that_is_none(captioner, given, settings, says):
    with pytest.raises(ConfigError) as caught:
        captioner.caption(TEST[0], given, **settings)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [5, 2.5, ["beam"], {"type": "beam"}, BeamConfig, b"beam"])
def test_a_search_of_the_wrong_type(captioner, given):
    with pytest.raises(TypeError, match="decoding"):
        captioner.caption(TEST[0], given)


def test_searches_and_errors_are_exported():
    for name in (
        "search",
        "Hypothesis",
        "Evaluation",
        "load_detector",
        "Detection",
        "Detected",
        *(f"{kind}Config" for kind in ("Greedy", "Beam", "Sample")),
    ):
        assert name in capsmith.__all__ and getattr(capsmith, name).__name__ == name
    for name in ("ConfigError", "DataError", "ImageError", "FeatureError", "CheckpointError"):
        assert issubclass(getattr(capsmith, name), CapsmithError)


# --- images -----------------------------------------------------------------------------------------------------------


def test_one_bad_image_does_not_lose_the_others(captioner, tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    images = [TEST[0], tmp_path / "text.jpg", TEST[1], tmp_path / "none.jpg", b"", np.zeros((3, 3, 7)), TEST[2]]
    for size in (1, 2, 128):
        settings = captioner.config.evaluation.model_copy(update={"batch_size": size})
        captioner = captioner.with_config(captioner.config.model_copy(update={"evaluation": settings}))
        result = captioner.caption(images, on_error="return")
        assert [type(one) for one in result] == [Caption if n in (0, 2, 6) else ImageError for n in range(7)]
        same([result[0], result[2], result[6]], captioner.caption(TEST[:3]))
        assert str(result[1]).startswith("images[1]: ") and "text.jpg" in str(result[1])
    assert isinstance(captioner.caption(tmp_path / "none.jpg", on_error="return"), ImageError)
    with pytest.raises(ImageError, match=r"images\[1\]: .*text.jpg"):
        captioner.caption(images)
    with pytest.raises(ValueError, match="on_error.*ignore"):
        captioner.caption(images, on_error="ignore")


def test_images_may_come_in_any_iterable(captioner):
    expected = captioner.caption(TEST[:3])
    same(captioner.caption(tuple(TEST[:3])), expected)
    same(captioner.caption(path for path in TEST[:3]), expected)
    assert captioner.caption([]) == captioner.caption(iter(())) == captioner.caption([], on_error="return") == []
    np.testing.assert_allclose(captioner.features(TEST[0]), captioner.features(TEST[:1]))
    assert captioner.features([]).shape == (0, 192)


@pytest.mark.parametrize(
    "wrong",
    [None, 5, 2.5, {"a": 1}, {"a"}, bytearray(b"x"), memoryview(b"x"), object(), True],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_image(captioner, wrong):
    with pytest.raises(TypeError, match=r"image.* not \w+"):
        captioner.caption(wrong)
    with pytest.raises(TypeError, match=r"images\[1\]"):
        captioner.caption([TEST[0], wrong])
    with pytest.raises(TypeError, match="image"):
        captioner.features(wrong)


def test_lists_within_lists(captioner):
    with pytest.raises(TypeError, match=r"images\[0\].* list"):
        captioner.caption([[TEST[0]]])


@pytest.mark.parametrize("shape", [(0, 8, 3), (8,), (2, 8, 8, 3), (8, 8, 2), ()])
def test_arrays_that_are_no_image(captioner, shape):
    with pytest.raises(ImageError) as caught:
        captioner.caption(np.zeros(shape, np.uint8))
    assert "\n" not in str(caught.value)


def test_a_closed_image_and_one_whose_file_is_cut(captioner, tmp_path):
    Image.open(TEST[0]).save(tmp_path / "whole.jpg", quality=95)
    content = (tmp_path / "whole.jpg").read_bytes()
    closed = Image.open(TEST[0])
    closed.close()
    loaded = Image.open(TEST[0])
    loaded.load()
    loaded.close()
    for image in (closed, loaded, Image.open(io.BytesIO(content[:-200]))):
        with pytest.raises(ImageError) as caught:
            captioner.caption(image)
        assert "\n" not in str(caught.value)
        (result, kept) = captioner.caption([image, TEST[1]], on_error="return")
        assert isinstance(result, ImageError) and isinstance(kept, Caption)


def test_a_given_image_stays_as_it_was(captioner):
    image, array = Image.open(TEST[0]), np.array(Image.open(TEST[0]))
    before = array.copy()
    same([captioner.caption(image)], [captioner.caption(array)])
    same([captioner.caption(image)], [captioner.caption(TEST[0])])
    np.testing.assert_array_equal(array, before)


# --- features and pixels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (lambda f: f.tolist(), TypeError, "a NumPy array of real numbers, not list"),
        (lambda f: None, TypeError, "not NoneType"),
        (lambda f: f.astype(str), TypeError, "not an array of <U"),
        (lambda f: f.astype(complex), TypeError, "not an array of complex128"),
        (lambda f: f.astype(object), TypeError, "not an array of object"),
        (lambda f: f > 0, TypeError, "not an array of bool"),
        (lambda f: f[0], FeatureError, "add a first axis"),
        (lambda f: f[:, :9], FeatureError, "shape .* this captioner takes"),
        (lambda f: f[:, None], FeatureError, "shape .* this captioner takes"),
        (lambda f: f.T, FeatureError, "shape .* this captioner takes"),
        (lambda f: f * np.nan, FeatureError, "NaN or infinity"),
        (lambda f: f + np.inf, FeatureError, "NaN or infinity"),
    ],
)
def test_features_that_are_none(captioner, features, change, kind, says):
    with pytest.raises(kind, match=says):
        captioner.caption_features(change(features))


def test_features_in_any_layout(captioner, features):
    expected = captioner.caption_features(features)
    for form in (np.asfortranarray(features), features.astype(np.float64), np.repeat(features, 2, axis=0)[::2]):
        same(captioner.caption_features(form), expected)
    assert captioner.caption_features(features[:0]) == []


def test_pixels_that_are_none(captioner):
    good = np.zeros((1, 32, 32, 3), np.uint8)
    assert captioner.encode(good).shape == (1, 192)
    for wrong in ((), (good, good)):
        with pytest.raises(TypeError, match="encoder"):
            captioner.encode(*wrong)
    for wrong in ("pixels", good.astype(str), good.tolist()):
        with pytest.raises(TypeError, match="pixels"):
            captioner.encode(wrong)
    for wrong in (good[0], good[:, :16], good[..., :1]):
        with pytest.raises(ValueError, match=r"\(B, 32, 32, 3\)"):
            captioner.encode(wrong)


# --- runs, configs, scores --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: Captioner.load(None), TypeError, "not NoneType"),
        (lambda: Captioner.load([1]), TypeError, "int"),
        (lambda: Captioner.load([]), CheckpointError, "the list is empty"),
        (lambda: evaluate(None), TypeError, "or a list of them, not NoneType"),
        (lambda: evaluate([]), CheckpointError, "the list is empty"),
        (lambda: evaluate(shapes.trained(), "tset"), DataError, "did you mean 'test'"),
        (lambda: evaluate(shapes.trained(), "dev", "seed=1"), TypeError, "overrides are a list"),
        (lambda: load_config(None), TypeError, "a path, a name or a mapping, not NoneType"),
        (lambda: load_config([1]), TypeError, "not list"),
        (lambda: load_config(load_config(shapes.settings())), TypeError, "not Config"),
        (lambda: load_config(shapes.settings(), "seed=3"), TypeError, "overrides are a list"),
        (lambda: load_config(shapes.settings(), [3]), TypeError, r"overrides\[0\] is int"),
        (
            lambda: train(shapes.settings(), "run"),
            TypeError,
            "train takes a Config, not dict: read it with load_config",
        ),
        (lambda: train("quickstart.yaml", "run"), TypeError, "train takes a Config, not str"),
        (lambda: extract("quickstart.yaml"), TypeError, "extract takes a Config, not str"),
        (lambda: score(None, None), DataError, "references must be a mapping"),
        (lambda: score({}, {}), DataError, "nothing to score against"),
        (lambda: score(["a"], {"x": ["a"]}), DataError, "captions must be a mapping"),
        (lambda: score({"x": "a"}, [["a"]]), DataError, "references must be a mapping"),
    ],
)
def test_calls_with_the_wrong_things(call, kind, says):
    with pytest.raises(kind, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


# --- pickles and other processes --------------------------------------------------------------------------------------


def test_results_can_be_pickled(captioner, tmp_path):
    done = evaluate(shapes.trained(), "dev", out=str(tmp_path))
    again = pickle.loads(pickle.dumps(done))
    assert again.captions == done.captions and again.scores.keys() == done.scores.keys()
    assert again.scores["bleu4"].interval == done.scores["bleu4"].interval
    for one in (captioner.caption(TEST[0]), captioner.config, captioner.vocabulary, ImageError("a")):
        assert type(pickle.loads(pickle.dumps(one))) is type(one)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_captioner_is_not_pickled_or_copied(captioner, copied):
    with pytest.raises(TypeError, match="run directory"):
        copied(captioner)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_child_is_told_and_does_not_hang(captioner, features):
    captioner.caption(TEST[0])

    def child(end):
        message = []
        for call in (lambda: captioner.caption(TEST[0]), lambda: captioner.caption_features(features)):
            try:
                call()
            except CapsmithError as error:
                message.append(str(error))
        end.send(message)

    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    assert mine.poll(60), "the child hangs"
    assert [("fork" in line and "spawn" in line) for line in mine.recv()] == [True, True]
    process.join(10)
    assert captioner.caption(TEST[0]).text


# --- the same captions by every road ----------------------------------------------------------------------------------

ROADS = [
    GreedyConfig(max_length=12),
    BeamConfig(beam_size=3, max_length=12, length_penalty=1.0),
    SampleConfig(samples=2, max_length=12, seed=1),
    SampleConfig(samples=2, max_length=12, top_k=4),
]


@pytest.mark.parametrize("decoding", ROADS, ids=str)
def test_alone_in_batches_and_by_evaluation(captioner, decoding):
    alone = [captioner.caption(path, decoding) for path in TEST]
    for size in (5, 128):
        settings = captioner.config.evaluation.model_copy(update={"batch_size": size})
        captioner = captioner.with_config(captioner.config.model_copy(update={"evaluation": settings}))
        same(captioner.caption(TEST, decoding), alone)
        same(captioner.caption(TEST[::-1], decoding)[::-1], alone)
        source = prepare_splits(captioner.config, "test").source
        result = decode_images(captioner, [source], [path.name for path in TEST], decoding)
        same([result[path.name] for path in TEST], alone)


def test_files_and_stored_grids_give_the_same(tmp_path):
    """A store keeps grids in float16: so does captioning, or the features of every image would be a little other."""
    keras.utils.set_random_seed(3)
    values = shapes.settings(encoder={"output": "grid", "image_size": 48}, features={"cache": str(tmp_path)})
    values["decoder"] = {"type": "aoa", "units": 16, "attention_units": 8, "heads": 2, "embedding": {"size": 8}}
    config = load_config(values)
    words = Vocabulary.build([["a", "red", "bar", "green", "left"]], 1, None)
    encoder = build_encoder(config.encoder)
    model = build_model(config, words, encoder.feature_shape, encoder)
    made = Captioner([KerasMember(config, words, model, (9, 128), encoder)])
    source = prepare_splits(config, "test").source
    ids = [path.name for path in TEST]
    stored, own = source.gather(source.rows(ids)), made.features(TEST)
    assert own.dtype == stored.dtype == np.float16
    assert (own != stored).mean() < 0.01  # last bits, where the networks' sums were taken in another order
    for decoding in ROADS:
        result = decode_images(made, [source], ids, decoding)
        same([result[name] for name in ids], [made.caption(path, decoding) for path in TEST])


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_fewer_images_at_once_where_a_search_takes_much():
    assert images_at_once(BeamConfig(), 3_000, 128) == 128
    assert images_at_once(BeamConfig(rerank=MbrConfig()), 9_000, 128) == 128
    assert images_at_once(BeamConfig(beam_size=1000), 20_000, 128) == 4
    assert images_at_once(BeamConfig(beam_size=1000), 20_000, 128, members=4) == 1
    assert images_at_once(BeamConfig(beam_size=500), 20_000, 128, banks=2) == 4
    assert images_at_once(BeamConfig(n=500), 20_000, 128) == 1  # room for four times as many beams
    with pytest.raises(ConfigError, match="decoding.include.*fewer words"):
        images_at_once(GreedyConfig(), 6_000_000, 128, banks=33)
    with pytest.raises(ConfigError, match=r"decoding.beam_size.* 10,000.* 1,663"):
        images_at_once(BeamConfig(beam_size=10_000), 60_000, 128)
    with pytest.raises(ConfigError, match=r"decoding.samples.* 100,000"):
        images_at_once(SampleConfig(samples=100_000), 5_000, 128)


def test_so_many_beams_that_images_are_captioned_in_parts(captioner, features, monkeypatch):
    whole = captioner.caption_features(features, beam_size=4)
    monkeypatch.setattr("capsmith.decoding.limits._MAX_NUMBERS", 2 * 4 * (len(captioner.vocabulary) + 4 * 12))
    assert images_at_once(BeamConfig(beam_size=4, max_length=12), len(captioner.vocabulary), 128) == 2
    same(captioner.caption_features(features, beam_size=4), whole)
    same(captioner.caption(TEST[:4], beam_size=4), whole)
    with pytest.raises(ConfigError, match=r"\b8\b"):
        captioner.caption(TEST[0], beam_size=9)
