"""Every config field has a scope mark; the marks decide which fields may differ and which are inherited."""

from typing import Annotated

import pytest

from capsmith.config import Config, load_config
from capsmith.core.schema import Settings, models_of
from capsmith.core.scopes import Scope, Use, difference, field_scope, inherit, leaves

BASE = {"data": {"type": "folder", "root": "photos"}, "decoder": {"type": "merge"}}
TWO = {**BASE, "encoder": [{"type": "vgg16", "output": "grid"}, {"type": "resnet50", "output": "grid"}]}

SECTIONS = {
    "seed": Scope.SEED,
    "data": Scope.DATA,
    "text": Scope.INPUT,
    "encoder": Scope.INPUT,
    "features": Scope.FILES,
    "decoder": Scope.MODEL,
    "training": Scope.TRAINING,
    "decoding": Scope.DECODING,
    "evaluation": Scope.EVALUATION,
    "ensemble": Scope.DECODING,
}
EXCEPTIONS = {
    "data.root": Scope.FILES,
    "data.max_bad_fraction": Scope.FILES,
    "text.min_count": Scope.VOCABULARY,
    "text.max_words": Scope.VOCABULARY,
    "text.max_length": Scope.VOCABULARY,
    "encoder.weights": Scope.FILES,
    "encoder.preset": Scope.FILES,
    "encoder.pretrain_on_words.output": Scope.FILES,
    "encoder.trainable": Scope.FINE_TUNING,
    "encoder.lr_multiplier": Scope.FINE_TUNING,
    "decoder.dropout": Scope.TRAINING,
    "decoder.spatial_dropout": Scope.TRAINING,
    "decoder.variational": Scope.TRAINING,
    "decoder.word_dropout": Scope.TRAINING,
    "decoder.doubly_stochastic": Scope.TRAINING,
    "decoder.embedding.trainable": Scope.TRAINING,
    "decoder.embedding.vectors": Scope.TRAINING_FILES,
    "training.distribute": Scope.FILES,
    "training.resume_weights_from": Scope.TRAINING_FILES,
    "training.checkpoint_every": Scope.TRAINING_FILES,
}
"""The fields whose mark is not their section's. A new field that needs another mark than its section is listed here."""


def scopes_of(model, scope=None, path=""):
    """Yields every field of a settings class with its mark; once for each component that may stand in a section."""
    for name, field in model.model_fields.items():
        mark = next((mark for mark in field.metadata if isinstance(mark, Scope)), scope)
        sections = [inner for inner in models_of(field) if issubclass(inner, Settings)]
        for inner in sections:
            yield from scopes_of(inner, mark, f"{path}{name}.")
        if not sections:
            yield path + name, mark


def test_every_field_has_a_mark():
    marks = [*scopes_of(Config)]
    assert len(marks) > 150
    assert {path.split(".")[0] for path, _ in marks} == set(SECTIONS)
    for path, scope in marks:
        assert scope == EXCEPTIONS.get(path, SECTIONS[path.split(".")[0]]), path
    assert set(EXCEPTIONS) <= {path for path, _ in marks}


def test_values_have_the_marks_of_their_fields():
    marks = {path: scope for path, _, scope in leaves(load_config(TWO))}
    assert marks["encoder.0.weights"] is Scope.FILES and marks["encoder.1.layer"] is Scope.INPUT
    assert marks["training.flip_word_pairs.0.0"] is Scope.TRAINING


def test_a_field_without_a_mark_is_an_error():
    class Inner(Settings):
        """Inner."""

        marked: Annotated[int, Scope.DATA] = 1
        bare: int = 2

    class Outer(Settings):
        """Outer."""

        inner: Inner = Inner()

    with pytest.raises(LookupError, match=r"inner\.bare"):
        [*leaves(Outer())]
    assert field_scope(Inner, "marked") is Scope.DATA and field_scope(Inner, "other") is None


ALLOWED = {
    Use.EVALUATE: ["seed=9", "data.type=scenes", "data.limit=3", "features.cache=x", "decoding.type=beam"],
    Use.RESUME: ["data.root=x", "features.workers=9", "evaluation.metrics=[bleu]", "training.checkpoint_every=0"],
    Use.LOAD_WEIGHTS: ["seed=9", "data.limit=3", "encoder.trainable=true", "decoder.dropout=0", "training.epochs=3"],
    Use.TRANSFER: ["text.min_count=1", "text.max_words=9", "text.max_length=9", "decoder.embedding.vectors=x"],
    Use.AVERAGE: ["encoder.weights=x", "decoder.word_dropout=0.1", "decoding.type=beam"],
}
REFUSED = {
    Use.EVALUATE: ["decoder.units=3", "text.lowercase=false", "training.epochs=3", "training.resume_weights_from=x"],
    Use.RESUME: ["seed=9", "data.limit=3", "decoder.dropout=0", "training.epochs=3", "encoder.layer=x"],
    Use.LOAD_WEIGHTS: ["text.min_count=1", "encoder.layer=x", "decoder.cell=gru", "decoder.standardise=true"],
    Use.TRANSFER: ["encoder.trainable=true", "text.mode=char", "decoder.embedding.size=9"],
    Use.AVERAGE: ["text.min_count=1", "encoder.trainable=true", "decoder.layers=2"],
}


@pytest.mark.parametrize(("use", "change"), [(use, change) for use, changes in ALLOWED.items() for change in changes])
def test_fields_that_may_differ(use, change):
    assert difference(load_config(BASE), load_config(BASE, [change]), use) == ""


@pytest.mark.parametrize(("use", "change"), [(use, change) for use, changes in REFUSED.items() for change in changes])
def test_fields_that_must_not_differ(use, change):
    path = change.split("=")[0]
    assert difference(load_config(BASE), load_config(BASE, [change]), use).startswith(f"{path}: ")
    assert difference(load_config(BASE), load_config(BASE, [change]), use, {path.split(".")[0]}) == ""


def test_a_difference_names_the_first_key_and_both_values():
    before = load_config(BASE)
    assert difference(before, load_config(BASE, ["decoder.units=3", "seed=9"]), Use.RESUME) == "seed: 1, now 9"
    other = load_config(BASE, ["data.type=scenes"])
    assert difference(before, other, Use.RESUME).startswith("data.type: folder, now scenes")


def test_a_difference_among_several_encoders():
    config = load_config(TWO)
    changed = load_config(TWO, ["encoder.1.image_size=256"])
    assert difference(config, changed, Use.EVALUATE) == "encoder.1.image_size: None, now 256"
    assert difference(config, load_config(TWO, ["encoder.1.weights=x"]), Use.EVALUATE) == ""
    assert difference(config, load_config(BASE), Use.EVALUATE).startswith("encoder.0.type: vgg16, now None")


CHILD = {
    **BASE,
    "seed": 7,
    "data": {"type": "scenes", "limit": 9},
    "encoder": {"type": "small_cnn", "trainable": True},
    "decoder": {"type": "inject", "units": 3},
    "training": {"epochs": 2},
    "decoding": {"type": "greedy", "max_length": 9},
    "evaluation": {"examples": 1},
}
CHANGES = ["seed=3", "text.min_count=1", "encoder.weights=own.weights.h5", "evaluation.examples=5"]


def test_a_first_stage_inherits_everything_but_its_model_and_training():
    child, parent = load_config(CHILD), load_config(BASE, CHANGES)
    stage = inherit(child, parent, Use.STAGE)
    assert (stage.seed, stage.data, stage.text, stage.features) == (3, parent.data, parent.text, parent.features)
    assert stage.encoder == parent.encoders[0].model_copy(update={"trainable": True})
    for own in ("decoder", "training", "decoding", "evaluation", "ensemble"):
        assert getattr(stage, own) == getattr(child, own), own


def test_a_member_keeps_its_seed_and_trains_the_encoder_as_the_ensemble_does():
    child, parent = load_config(CHILD), load_config(BASE, CHANGES)
    member = inherit(child, parent, Use.MEMBER)
    assert (member.seed, member.data, member.encoder) == (7, parent.data, parent.encoder)
    assert member.evaluation == parent.evaluation and member.decoder == child.decoder


def test_several_encoders_are_inherited_together():
    stage = inherit(load_config(CHILD), load_config(TWO), Use.STAGE)
    assert stage.encoder == load_config(TWO).encoder
