"""Captions of a teacher are learned beside the references of the same image."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from capsmith.core.errors import DataError
from capsmith.data.records import Record
from capsmith.training import cross_entropy
from capsmith.training.config import TrainingConfig
from capsmith.training.teacher_captions import with_teacher_captions

RECORDS = [Record("a.jpg", Path("a.jpg"), ("one", "two"), "train"), Record("b.jpg", Path("b.jpg"), ("three",), "train")]


def _file(folder, rows):
    path = folder / "predictions.jsonl"
    path.write_text("".join(json.dumps({"image": image, "caption": caption}) + "\n" for image, caption in rows))
    return path


def test_captions_join_those_of_their_image(tmp_path, log_lines):
    path = _file(tmp_path, [("b.jpg", "four"), ("b.jpg", "five"), ("other.jpg", "six")])
    taught = with_teacher_captions(RECORDS, path)
    assert [record.captions for record in taught] == [("one", "two"), ("three", "four", "five")]
    assert any("2 captions of 1 of 2" in line for line in log_lines)


def test_without_a_teacher_nothing_changes():
    assert with_teacher_captions(RECORDS, None) == RECORDS


def test_a_file_of_other_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"teacher_captions.*other\.jpg.*a\.jpg"):
        with_teacher_captions(RECORDS, _file(tmp_path, [("other.jpg", "six")]))


def test_self_critical_training_refuses_them(tmp_path):
    with pytest.raises(ValidationError, match="teacher_captions"):
        TrainingConfig(objective="scst", resume_weights_from=tmp_path, teacher_captions=tmp_path / "x.jsonl")


def test_cross_entropy_learns_from_them(tmp_path, monkeypatch):
    """Every caption of the file becomes a caption of its image's examples."""
    seen = []
    monkeypatch.setattr(cross_entropy, "encode_captions", lambda records, *_: seen.extend(records) or [])
    monkeypatch.setattr(cross_entropy, "Batches", lambda *_: SimpleNamespace())
    training = TrainingConfig(teacher_captions=_file(tmp_path, [("a.jpg", "taught")]))
    config = SimpleNamespace(training=training, seed=1, trains_encoder=False)
    captioner = SimpleNamespace(config=config, vocabulary=None, feature_shape=(4,), model=None)
    source = SimpleNamespace(rows=lambda ids: list(range(len(ids))))
    images = SimpleNamespace(source=source, records=RECORDS, flipped_ids=None, old_records=(), old_rows=())
    cross_entropy.CrossEntropy(captioner, images)
    assert [record.captions for record in seen] == [("one", "two", "taught"), ("three",)]
