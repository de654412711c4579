"""A captioner's own copy of a joint embedding: made once, complete, and compared with its source."""

import json
import shutil

import numpy as np
import pytest

from capsmith import Captioner, evaluate
from capsmith.core.errors import CheckpointError
from capsmith.decoding.config import BeamConfig
from capsmith.models.judge_copy import copy_judge
from capsmith.models.run_config import run_config
from capsmith.retrieval.joint_embedding import JointEmbedding
from capsmith.retrieval.judge_file import StoredJudge
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


def test_what_is_no_embedding_is_refused(run, tiny_run, tmp_path):
    for path in (tmp_path / "nowhere", tiny_run.run):
        with pytest.raises(CheckpointError, match="embedding.npz"):
            copy_judge(config_of(run, path), run)
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
