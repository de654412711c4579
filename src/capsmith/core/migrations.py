"""Migration of configs that earlier versions saved in run directories and results.

Renamed keys are declared by their settings classes (``Settings.renamed``). Changes of structure and renamed values are
entries of ``CHANGES`` below. A config that a user writes is not migrated: an old key in it is an error that names the
new key.
"""

from collections.abc import Callable, Mapping
from typing import Any

from capsmith.core.schema import Settings, models_of, tag_of

Values = dict[str, Any]


def _stage_one(values: Values) -> None:
    """``training.start_config`` and ``start_set`` became one section, ``stage_one: {config, set}``."""
    training = _section(values, "training")
    config, overrides = training.pop("start_config", None), training.pop("start_set", None)
    if config is not None:
        training["stage_one"] = {"config": config, "set": overrides or []}


def _leave_one_out(values: Values) -> None:
    """``training.baseline: others`` became ``leave_one_out``."""
    _replace_value(_section(values, "training"), "baseline", "others", "leave_one_out")


def _scene_things(values: Values) -> None:
    """``data.things`` of the rendered scenes was removed; all scenes are now drawn as with ``few``."""
    data = _section(values, "data")
    if data.get("type") == "scenes" and data.get("things") == "few":
        del data["things"]


def _mbr(values: Values) -> None:
    """``decoding.type: consensus`` became a beam search with ``rerank: {type: mbr, …}``."""
    decoding = _section(values, "decoding")
    if decoding.get("type") != "consensus":
        return
    decoding["type"] = "beam"
    renamed = {
        "samples": "samples",
        "drawn_by": "samples_from",
        "temperature": "temperature",
        "neighbours": "neighbours",
        "meaning": "semantic_weight",
        "agreement": "utility_weight",
        "neighbour_agreement": "knn_weight",
        "content": "concept_weight",
        "likelihood": "log_prob_weight",
        "seed": "seed",
    }
    rerank = {"type": "mbr", **{new: decoding.pop(old) for old, new in renamed.items() if old in decoding}}
    decoding.setdefault("beam_size", 10)  # the default of that type
    if "length_penalty" in decoding:
        rerank["length_penalty"] = decoding["length_penalty"]
    sharpness = decoding.pop("nearness", 0)  # of the softmax over similarities: the inverse of its temperature
    rerank["knn_temperature"] = 1 / sharpness if sharpness else None
    _replace_value(rerank, "samples_from", "all", "ensemble")
    _replace_value(rerank, "samples_from", "each", "members")
    decoding["rerank"] = rerank


CHANGES: tuple[Callable[[Values], None], ...] = (
    _stage_one,
    _leave_one_out,
    _scene_things,
    _mbr,
)
"""Structural changes and renamed values, oldest first. Each one edits a config's plain values in place, and leaves a
current config unchanged. They run before keys are renamed, so a change uses the key names of the version before it."""


def migrate(values: Mapping[str, Any], model: type[Settings]) -> Values:
    """Returns the values of a saved config with the keys and structure of this version.

    Args:
        values: The content of a run's ``config.yaml``; it is not changed.
        model: The settings class of the complete config.
    """
    migrated: Values = _copied(values)
    for change in CHANGES:
        change(migrated)
    return _renamed(migrated, [model])


def _section(values: Values, name: str) -> Values:
    """Returns a config section for editing; an unattached, empty one if the section is missing."""
    section = values.get(name)
    return section if isinstance(section, dict) else {}


def _replace_value(section: Values, key: str, old: Any, new: Any) -> None:
    """Replaces a renamed value."""
    if section.get(key) == old:
        section[key] = new


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _renamed(values: Any, models: list[type[Settings]]) -> Any:
    """Returns values with the renamed keys of their settings classes replaced, at every depth."""
    if isinstance(values, list):
        return [_renamed(value, models) for value in values]
    if not isinstance(values, dict):
        return values
    type_name = values.get("type")
    chosen = [model for model in models if tag_of(model) == type_name] or models
    renamed: dict[str, str] = {old: new for model in chosen for old, new in model.renamed.items() if " " not in new}
    result: Values = {}
    for key, value in values.items():
        name = renamed[key] if key in renamed else key
        inner = [
            section
            for model in chosen
            if name in model.model_fields
            for section in models_of(model.model_fields[name])
            if issubclass(section, Settings)
        ]
        result.setdefault(name, _renamed(value, inner) if inner else value)
    return result
