"""Configs saved by earlier versions still load; in a user's config, an old key is an error that names the new key."""

from pathlib import Path
from typing import ClassVar

import pytest

from capsmith.config import Config, load_config, validate
from capsmith.core.errors import ConfigError
from capsmith.core.migrations import migrate
from capsmith.core.schema import Settings
from capsmith.core.yaml_io import read_yaml

OLD = sorted((Path(__file__).parent / "old_configs").glob("*.yaml"))


@pytest.mark.parametrize("path", OLD, ids=[path.stem for path in OLD])
def test_a_config_of_commit_ca3065f_loads_with_all_its_values(path):
    """The files are ``results/*/config.yaml`` of that commit, before keys were renamed."""
    old = read_yaml(path)
    config = validate(migrate(old, Config))
    now = config.model_dump(mode="json")
    assert now["training"]["epochs"] == old["training"]["epochs"]
    assert now["training"]["objective"] == old["training"]["objective"]
    expected = {RENAMED_VALUES.get(value, value) for value in leaf_values(old)} - REMOVED_VALUES
    assert expected <= leaf_values(now), expected - leaf_values(now)
    assert migrate(now, Config) == now


RENAMED_VALUES = {
    "others": "leave_one_out",
    "each": "members",
    "6.5": str(1 / 6.5),
}  # nearness was the inverse of a temperature
REMOVED_VALUES = {"few"}  # data.things of the scenes, the only choice now


def leaf_values(values):
    """Returns all values of a config as strings, without keys, tags and empty values."""
    if isinstance(values, dict):
        return {leaf for key, inner in values.items() if key != "type" for leaf in leaf_values(inner)}
    if isinstance(values, list):
        return {leaf for inner in values for leaf in leaf_values(inner)}
    return set() if values is None else {str(values)}


def test_migration_does_not_change_its_argument():
    old = read_yaml(OLD[0])
    migrate(old, Config)
    assert old == read_yaml(OLD[0])


class Inner(Settings):
    """Inner."""

    renamed: ClassVar[dict[str, str]] = {"old": "new", "gone": "split in two: use a and b"}
    new: int = 0


class Outer(Settings):
    """Outer."""

    renamed: ClassVar[dict[str, str]] = {"parts": "inners"}
    inners: tuple[Inner, ...] = ()
    one: Inner = Inner()


def test_renamed_keys_at_every_depth():
    values = {"parts": [{"old": 1}, {"new": 2}], "one": {"old": 3}, "unknown": {"old": 4}}
    assert migrate(values, Outer) == {"inners": [{"new": 1}, {"new": 2}], "one": {"new": 3}, "unknown": {"old": 4}}
    assert migrate({"one": {"gone": 1}}, Outer) == {"one": {"gone": 1}}  # no single successor


def test_an_old_key_in_a_users_own_config_is_an_error_that_names_the_new_one():
    values = {
        "data": {"type": "folder", "root": "x"},
        "decoder": {"type": "merge"},
        "encoder": {"pretrain_on_words": {"output": "x", "min_pictures": 3}},
    }
    with pytest.raises(ConfigError, match="min_images"):
        load_config(values)
