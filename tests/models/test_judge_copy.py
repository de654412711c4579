"""A captioner's own copy of a joint embedding: made once, complete, and compared with its source."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from capsmith import Captioner, evaluate, train
from capsmith.core.errors import CheckpointError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.config import BeamConfig
from capsmith.models.embedders import load_embedder
from capsmith.models.judge_copy import copy_judge
from capsmith.models.run_config import run_config
from capsmith.retrieval.joint_embedding import JointEmbedding
from capsmith.retrieval.judge_file import StoredJudge
from capsmith.vision.encoder import build_encoder
from tests.support import shapes
from tests.support.captioners import built_captioner
from tests.support.tiny_embedding import write_embedding_run


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run.run, tmp_path / "run")


@pytest.fixture
def embedding(tiny_run, tmp_path):
    return write_embedding_run(tmp_path / "embedding", tiny_run.run)


def config_of(run, embedding, weight=5.0):
    return run_config(run, [f"decoding.rerank={{type: mbr, embedding: {embedding}, embedding_weight: {weight}}}"])


def test_evaluation_copies_the_embedding_and_captioning_needs_its_run_no_more(run, embedding, tiny_run):
    search = [
        "decoding={type: beam, rerank: {type: mbr, samples: 4, neighbours: 2, log_prob_weight: 0, "
        f"utility_weight: 0, knn_weight: 0, embedding: {embedding}, embedding_weight: 1}}}}"
    ]
    found = evaluate(run, "test", search)
    captioner = Captioner.load(run, overrides=search)
    image_id = next(iter(found.captions))
    image = next(path for path in (tiny_run.data / "images").iterdir() if path.name.startswith(image_id.split(".")[0]))
    said = captioner.caption(image)
    candidates = [said, *said.alternatives]
    source = JointEmbedding.load(embedding / "embedding.npz")
    judge = captioner.caption_judge(embedding)
    vectors = judge.space.embed_texts([one.text for one in candidates])
    cosines = vectors @ source.embed_features(captioner.features([image]))[0]
    np.testing.assert_allclose([one.score for one in candidates], cosines, atol=1e-5)  # in decreasing order
    assert said.score == max(one.score for one in candidates) and len(candidates) > 1
    shutil.rmtree(embedding)
    assert Captioner.load(run, overrides=search).caption(image) == said
    assert evaluate(run, "test", search).captions == found.captions


def test_a_copy_has_the_vectors_of_its_source(run, embedding):
    copy_judge(config_of(run, embedding), run)
    judge, source = StoredJudge.load(run), JointEmbedding.load(embedding / "embedding.npz")
    features = np.random.default_rng(1).normal(size=(3, source.channels)).astype(np.float32)
    np.testing.assert_array_equal(judge.embed_features(features), source.embed_features(features))
    ids = judge.vocabulary.encode("a red ball on grey".split())
    np.testing.assert_allclose(
        judge.embed_texts(["A red ball, on grey.", "a"])[0], source.embed_tokens(np.array([ids]))[0], atol=1e-6
    )
    assert (run / "caption_judge.npz").stat().st_size < (embedding / "embedding.npz").stat().st_size


def test_an_embedding_that_was_trained_again_is_noticed_and_copied(run, embedding, tiny_run):
    search = BeamConfig(rerank={"type": "mbr", "embedding": embedding, "embedding_weight": 1})
    copy_judge(config_of(run, embedding), run)
    first, written = StoredJudge.load(run).sha256, (run / "caption_judge.npz").stat().st_mtime_ns
    copy_judge(config_of(run, embedding), run)
    assert (run / "caption_judge.npz").stat().st_mtime_ns == written
    shutil.rmtree(embedding)
    write_embedding_run(embedding, tiny_run.run, seed=1)
    with pytest.raises(CheckpointError, match=f"{embedding}.*evaluate"):
        Captioner.load(run).caption_judge(embedding)
    copy_judge(config_of(run, embedding), run)
    assert StoredJudge.load(run).sha256 != first
    assert Captioner.load(run).caption_judge(embedding) and search.requires_embedding


def test_another_embedding_than_that_of_the_copy_is_an_error(run, embedding, tiny_run, tmp_path):
    copy_judge(config_of(run, embedding), run)
    other = write_embedding_run(tmp_path / "other", tiny_run.run, seed=2)
    with pytest.raises(CheckpointError, match=f"{other}"):
        Captioner.load(run).caption_judge(other)
    with pytest.raises(CheckpointError, match="nowhere"):
        Captioner.load(run).caption_judge(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"type": "mobilenet_v2"}, "type"),
        ({"size": [99, 99]}, "size"),
        ({"weights": "sha256:0"}, "weights"),
        ({"layer": "early"}, "layer"),
    ],
)
def test_an_embedding_over_another_encoder_is_refused(run, tiny_run, tmp_path, changed, says):
    other = write_embedding_run(tmp_path / "other", tiny_run.run, **changed)
    with pytest.raises(CheckpointError, match=f"decoding.rerank.embedding: .*{says}: ") as caught:
        copy_judge(config_of(run, other), run)
    assert "\n" not in str(caught.value) and not (run / "caption_judge.npz").exists()


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A custom encoder whose grid is the mean colours of 24 × 24 blocks."""
    import keras

    pixels = keras.Input((48, 48, 3))
    path = tmp_path_factory.mktemp("blocks") / "blocks.keras"
    keras.Model(pixels, keras.layers.AveragePooling2D(24)(pixels)).save(path)
    return {"type": "custom", "weights": str(path), "preprocess": "tf", "image_size": None}


@pytest.mark.parametrize(("ours", "theirs"), [("grid", "pooled"), ("pooled", "grid")])
def test_the_mean_over_a_grid_is_what_a_pooled_encoder_gives(blocks, tmp_path, ours, theirs):
    captioner = built_captioner("aoa" if ours == "grid" else "merge", {**blocks, "output": ours})
    captioner.save(tmp_path / "run")
    embedding = write_embedding_run(tmp_path / "embedding", tmp_path / "run", output=theirs)
    copy_judge(config_of(tmp_path / "run", embedding), tmp_path / "run")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 48, 48, 3)).astype(np.float32)
    other = build_encoder(captioner.config.encoder.model_copy(update={"output": theirs}))
    features = np.asarray(other.model(pixels))
    assert features.shape == ((3, 4, 3) if theirs == "grid" else (3, 3))
    source = JointEmbedding.load(embedding / "embedding.npz")
    judge = Captioner.load(tmp_path / "run").caption_judge(embedding)
    found = judge.images(captioner.members[0].encode(pixels))  # a grid is rounded to float16
    np.testing.assert_allclose(found, source.embed_features(features), atol=2e-3)


def test_another_output_is_refused_where_it_is_not_the_mean(run, tiny_run, tmp_path):
    other = write_embedding_run(tmp_path / "other", tiny_run.run, output="grid")  # small_cnn: mean and maximum
    with pytest.raises(CheckpointError, match="output: grid instead of pooled"):
        copy_judge(config_of(run, other), run)


def test_a_trained_embedding_gives_a_captioner_the_vectors_of_its_own_run(tiny_embedding, tmp_path):
    captioner = built_captioner("inject par", {"output": "pooled", "image_size": shapes.SIDE})
    captioner.save(tmp_path / "run")
    copy_judge(config_of(tmp_path / "run", tiny_embedding), tmp_path / "run")
    judge, embedder = Captioner.load(tmp_path / "run").caption_judge(tiny_embedding), load_embedder([tiny_embedding])
    features = captioner.features(sorted((shapes.data() / "images").iterdir())[:3])
    np.testing.assert_allclose(judge.images(features), embedder.embed_features(features), atol=1e-6)
    texts = ["a red bar", "a blue ball on the left", "unheard words", ""]
    np.testing.assert_allclose(judge.space.embed_texts(texts), embedder.embed_texts(texts), atol=1e-6)


def test_the_vectors_of_the_training_captions_are_kept_and_follow_the_caption_index(run, embedding, tiny_run):
    search = [
        f"decoding={{type: beam, rerank: {{type: mbr, samples: 3, neighbours: 0, embedding: {embedding}, "
        "utility_weight: 0, log_prob_weight: 0, caption_weight: 1, caption_neighbours: 2}}"
    ]
    found = evaluate(run, "test", search)
    captioner, source = Captioner.load(run, overrides=search), load_judge_source(embedding)
    judge, index = captioner.caption_judge(embedding), captioner.caption_index
    captions = [caption for group in index.captions for caption in group]
    texts = [" ".join(captioner.vocabulary.decode(caption)) for caption in captions]
    np.testing.assert_allclose(judge.vectors, source.embed_texts(texts), atol=1e-3)
    shutil.rmtree(embedding)
    assert evaluate(run, "test", search).captions == found.captions
    (run / "caption_index.npz").write_bytes((run / "caption_index.npz").read_bytes() + b" ")  # another index
    with pytest.raises(CheckpointError):
        Captioner.load(run, overrides=search).caption(next((tiny_run.data / "images").iterdir()))
    (run / "caption_index.npz").unlink()
    assert evaluate(run, "test", search).captions == found.captions


def load_judge_source(embedding):
    """Returns what an embedding says of texts, by its own files."""
    source, vocabulary = (
        JointEmbedding.load(embedding / "embedding.npz"),
        Vocabulary.load(embedding / "vocabulary.json"),
    )
    return SimpleNamespace(
        embed_texts=lambda texts: np.concatenate(
            [source.embed_tokens(np.array([vocabulary.encode(text.replace("<unk>", "unk").split())])) for text in texts]
        )
    )


def test_what_is_no_embedding_is_refused(run, tiny_run, tmp_path):
    for path in (tmp_path / "nowhere", tiny_run.run):
        with pytest.raises(CheckpointError, match="embedding.npz"):
            copy_judge(config_of(run, path), run)
        with pytest.raises(CheckpointError, match="embedding.npz"):
            train(config_of(run, path), tmp_path / "new")
        assert not (tmp_path / "new").exists()  # before any work
    with pytest.raises(CheckpointError, match="caption_judge.npz"):
        Captioner.load(run).caption_judge(tmp_path)


def test_a_damaged_copy_is_an_error_and_written_again(run, embedding):
    copy_judge(config_of(run, embedding), run)
    whole, description = (run / "caption_judge.npz").read_bytes(), (run / "caption_judge.json").read_text()
    content = json.loads(description)
    for name, damaged in (
        ("caption_judge.npz", whole[: len(whole) // 2]),
        ("caption_judge.json", b"{"),
        ("caption_judge.json", json.dumps(content | {"words": 5}).encode()),
        ("caption_judge.json", json.dumps(content | {"words": content["words"][:-1]}).encode()),
        ("caption_judge.json", json.dumps(content | {"text": {"mode": "no"}}).encode()),
    ):
        (run / name).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="caption_judge.json") as caught:
            Captioner.load(run).caption_judge(embedding)
        assert "\n" not in str(caught.value)
        copy_judge(config_of(run, embedding), run)
        assert (run / "caption_judge.npz").read_bytes() == whole and (
            run / "caption_judge.json"
        ).read_text() == description
