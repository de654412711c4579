import hashlib

import pytest

from capsmith.core.errors import FeatureError
from capsmith.vision.config import EncoderConfig
from capsmith.vision.fingerprint import describe_differences, encoder_fingerprint, file_sha256, json_sha256


def test_every_setting_that_changes_features_changes_the_fingerprint(tmp_path):
    one, other = tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    base = {"type": "mobilenet_v2", "weights": str(one)}
    changed = [
        {"type": "resnet50_v2"},
        {"weights": str(other)},
        {"weights": "none"},
        {"layer": "block_13_expand_relu"},
        {"output": "grid"},
        {"image_size": 160},
        {"preprocess": "torch"},
    ]
    found = [json_sha256(encoder_fingerprint(EncoderConfig(**(base | change)))) for change in ({}, *changed)]
    assert len(set(found)) == len(found)


def test_explicit_defaults_give_the_same_fingerprint():
    said = EncoderConfig(type="vgg16", image_size=(224, 224), preprocess="caffe")
    assert encoder_fingerprint(said) == encoder_fingerprint(EncoderConfig(type="vgg16"))


def test_weights_are_identified_by_content_not_by_path(tmp_path):
    one, copy = tmp_path / "a.weights.h5", tmp_path / "copy.weights.h5"
    one.write_bytes(b"same")
    copy.write_bytes(b"same")
    prints = [encoder_fingerprint(EncoderConfig(weights=str(path))) for path in (one, copy)]
    assert prints[0] == prints[1]
    assert prints[0]["weights"] == "sha256:" + hashlib.sha256(b"same").hexdigest()
    copy.write_bytes(b"changed now")
    assert encoder_fingerprint(EncoderConfig(weights=str(copy))) != prints[0]


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(FeatureError, match="nowhere.h5: No such file"):
        file_sha256(tmp_path / "nowhere.h5")


def test_differences_name_the_keys():
    ours, theirs = {"type": "vgg16", "layer": "fc2", "old": 1}, {"type": "vgg16", "layer": "last"}
    assert describe_differences(theirs, ours) == "layer: last instead of fc2, old: None instead of 1"
    assert describe_differences(ours, dict(ours)) == ""


def test_json_sha256_ignores_the_order_of_keys():
    assert json_sha256({"a": 1, "b": [2]}) == json_sha256({"b": [2], "a": 1}) != json_sha256({"a": 1, "b": [3]})
