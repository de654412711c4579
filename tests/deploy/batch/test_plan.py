"""Plans hold every unit once, in order, in blocks that a restart finds again."""

import json

import pytest

import capsmith.deploy.batch.plan as plans
from capsmith.core.errors import CheckpointError
from capsmith.deploy.batch.places import Place
from capsmith.deploy.batch.plan import Plan, Unit, block_size

pytest.importorskip("pyarrow")


@pytest.mark.parametrize(("total", "per_block", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 5, [3]), (0, 4, [])])
@pytest.mark.parametrize("per_file", [1, 3, 100])
def test_blocks_hold_every_unit_in_order(tmp_path, monkeypatch, total, per_block, sizes, per_file):
    monkeypatch.setattr(plans, "_PER_FILE", per_file)
    units = [Unit(f"ü {number}.jpg", size=number) for number in range(total)]
    made = Plan.make(Place(tmp_path), "here", "images", iter(units), per_block)
    plan = Plan.read(Place(tmp_path))
    assert plan is not None and plan.blocks == made.blocks == len(sizes)
    blocks = [plan.block(number) for number in range(plan.blocks)]
    assert [len(block) for block in blocks] == sizes
    assert [unit for block in blocks for unit in block] == units == list(plan.all_units())


def test_tars_are_blocks_by_themselves(tmp_path):
    units = [Unit(f"{number}.tar") for number in range(3)]
    plan = Plan.make(Place(tmp_path), "here", "tars", units, 512)
    assert [plan.block(number) for number in range(plan.blocks)] == [[unit] for unit in units]


def test_an_unfinished_plan_is_none(tmp_path):
    def units():
        yield Unit("a.jpg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plan.make(Place(tmp_path), "here", "images", units())
    assert Plan.read(Place(tmp_path)) is None


@pytest.mark.parametrize("change", [{"kind": "secrets"}, {"units": -1}, {"per_block": 0}, {"units": 99}, {"more": 1}])
def test_a_damaged_plan_is_one_line(tmp_path, change):
    Plan.make(Place(tmp_path), "here", "images", [Unit("a.jpg")])
    path = tmp_path / "plan" / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match="plan"):
        plan = Plan.read(Place(tmp_path))
        assert plan is not None
        plan.block(0)


@pytest.mark.parametrize(
    ("images", "size"),
    [(1, 128), (600, 128), (8_091, 192), (16_384, 512), (1_000_000, 512), (10**8, 4096), (10**9, 4096)],
)
def test_small_jobs_have_small_blocks(images, size):
    assert block_size(images) == size
