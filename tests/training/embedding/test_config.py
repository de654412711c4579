"""The config of a joint embedding."""

import pytest

from capsmith import ConfigError, load_config
from capsmith.config import Config, captioner_config, is_config
from capsmith.core.scopes import Use, difference, leaves
from capsmith.core.yaml_io import dump_yaml
from tests.support import shapes
from tests.support.toy_embedding import embedding_settings


def test_the_section_decides_the_kind():
    assert load_config(embedding_settings()).kind == "embedding"
    assert isinstance(load_config(shapes.settings()), Config)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"decoder": {"type": "inject"}}, ["decoder", "embedding"]),
        ({"decoding": {"type": "greedy"}}, ["decoding"]),
        ({"embedding": {"text": {"type": "transformer"}}}, ["embedding.text.type", "recurrent"]),
        ({"embedding": {"image": {"pooling": "attention"}}}, ["embedding.image.pooling", "encoder.output"]),
        ({"encoder": {"trainable": True}}, ["encoder.trainable", "pretrain_on_words"]),
        ({"training": {"batch_size": 3, "captions_per_image": 2}}, ["batch_size"]),
        ({"training": {"metric": "cider"}}, ["training.metric", "recall"]),
        ({"ensemble": [{"run": "a", "config": "b", "encoders": [0]}]}, ["ensemble", "encoders"]),
    ],
)
def test_mistakes(change, named):
    values = embedding_settings()
    for name, part in change.items():
        values[name] = {**values.get(name, {}), **part} if isinstance(part, dict) else part
    with pytest.raises(ConfigError) as caught:
        load_config(values)
    assert all(word in str(caught.value) for word in named)


def test_neither_section():
    values = embedding_settings()
    del values["embedding"]
    del values["training"]
    with pytest.raises(ConfigError, match=r"decoder.*embedding"):
        load_config(values)


def test_a_captioner_is_needed(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(dump_yaml(load_config(embedding_settings()).model_dump(mode="json")))
    assert is_config(path)
    with pytest.raises(ConfigError, match=r"e\.yaml.*joint embedding.*captioner"):
        captioner_config(path)


def test_every_leaf_has_a_scope():
    config = load_config(embedding_settings())
    assert {path for path, _, _ in leaves(config)} > {"embedding.size", "training.temperature", "evaluation.shown"}
    changed = load_config(embedding_settings(embedding={"size": 25}))
    assert "embedding.size" in difference(config, changed, Use.EVALUATE)
    assert not difference(config, load_config(embedding_settings(evaluation={"shown": 3})), Use.EVALUATE)
