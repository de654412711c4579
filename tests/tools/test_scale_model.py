"""The model of cost and time: values computed by hand, scaling laws, and what is read from the measurements."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tools import paths, scale_rows
from tools.scale_model import Assumptions, Fleet, Task, assumptions, changed, estimate, measured, pays_from, tasks
from tools.scale_picture import job_picture, picture

TASK = Task("a task", core_rate=10, start=0, bytes_out=1000, gpu_rate=100)
FREE = Assumptions(
    vcpu_hour=0.05,
    efficiency=1.0,
    tar_images=0,
    network=math.inf,
    page_seconds=0,
    plan_rate=math.inf,
    driver_rate=math.inf,
    cluster_start=0,
    hours_to_death=math.inf,
)
"""Nothing takes time but computing."""


def test_computing_alone_by_hand():
    one = estimate(3_600_000, TASK, Fleet(1, 1, cluster=False), FREE)  # 10 images a second of one core
    assert one.hours == pytest.approx(100)
    assert one.compute == pytest.approx(100 * 0.05)
    assert one.gigabytes == pytest.approx(3.6)
    assert one.storage == pytest.approx(3.6 * 0.023)
    assert one.planning_hours == 0
    assert one.limit == "compute"


def test_requests_by_hand():
    loose = estimate(512_000, TASK, Fleet(), FREE)  # 1,000 blocks: two reads an image, two a block, four writes a block
    assert loose.requests == pytest.approx((1_024_000 + 2_000) / 1000 * 0.0004 + (4_000 + 512) / 1000 * 0.005)
    tars = estimate(512_000, TASK, Fleet(), replace(FREE, tar_images=1000, tar_reads=0.01))  # 512 tars
    assert tars.requests == pytest.approx((5_120 + 1_024) / 1000 * 0.0004 + (2_048 + 0.512) / 1000 * 0.005)


def test_the_driver_lists_and_plans_alone_by_hand():
    slow = replace(FREE, page_seconds=0.36, plan_rate=1e6)
    found = estimate(1e8, TASK, Fleet(100, 16), slow)
    assert found.planning_hours == pytest.approx((1e5 * 0.36 + 100) / 3600)
    packed = estimate(1e8, TASK, Fleet(100, 16), replace(slow, tar_images=1000))
    assert packed.planning_hours == pytest.approx(found.planning_hours / 1000)


def test_deaths_lose_half_a_block_and_the_start():
    task = replace(TASK, start=10)
    dying = estimate(1e7, task, Fleet(1, 16), replace(FREE, hours_to_death=1))  # a block takes 51.2 s
    calm = estimate(1e7, task, Fleet(1, 16), FREE)
    assert calm.hours / dying.hours == pytest.approx(1 - (25.6 + 10) / 3600, rel=1e-3)


def test_a_gpu_waits_for_the_cores_that_decode():
    assert estimate(360_000, TASK, Fleet(1, gpus=1), FREE).hours == pytest.approx(1, rel=0.01)
    slow = replace(FREE, decode_rate=50 / 16)
    assert estimate(360_000, TASK, Fleet(1, gpus=1), slow).hours == pytest.approx(2, rel=0.01)
    assert estimate(360_000, TASK, Fleet(1, gpus=1), FREE).compute == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    ("assumed", "limit", "rate"),
    [
        (replace(FREE, network=1e6, bytes_in=1e5), "network", 10 * 100),
        (replace(FREE, driver_rate=1), "driver", 512),
    ],
)
def test_network_and_driver_bound_the_rate(assumed, limit, rate):
    found = estimate(1e7, TASK, Fleet(100, 16), assumed)
    assert found.limit == limit
    assert found.hours == pytest.approx(1e7 / rate / 3600, rel=0.01)  # the last block is waited for


def test_ten_times_the_machines_take_a_tenth_of_the_hours_for_the_same_money():
    few, many = (estimate(1e9, TASK, Fleet(count, 16), FREE) for count in (10, 100))
    assert few.hours / many.hours == pytest.approx(10, rel=0.01)
    assert few.compute == pytest.approx(many.compute, rel=0.01)


def test_hours_and_money_grow_with_images_and_fall_with_rate():
    known = tasks(measured()).values()
    for task in [TASK, *known]:
        every = [estimate(10**power, task, Fleet(16, 16)) for power in range(3, 11)]
        for name in ("hours", "dollars", "gigabytes", "requests", "planning_hours"):
            values = [getattr(one, name) for one in every]
            assert values == sorted(values), (task.name, name)
        quick = replace(task, core_rate=2 * task.core_rate)
        assert estimate(1e7, quick, Fleet(16, 16)).hours < estimate(1e7, task, Fleet(16, 16)).hours
    assert len(known) > 4


def test_a_cluster_pays_from_where_its_start_is_paid_back():
    one, ten = Fleet(1, 1, cluster=False), Fleet(10, 1)
    assumed = replace(FREE, cluster_start=90)
    start = pays_from(TASK, one, ten, assumed)
    assert 1000 < start < 2000  # 100 s alone are 10 s of ten workers, and the last block is waited for
    for share, quicker in ((0.9, one), (1.1, ten)):
        hours = {fleet: estimate(start * share, TASK, fleet, assumed).hours for fleet in (one, ten)}
        assert min(hours, key=hours.get) is quicker
    assert pays_from(TASK, one, Fleet(1, 1), replace(FREE, cluster_start=90)) == math.inf


def test_more_workers_than_blocks_idle():
    found = estimate(
        512, TASK, Fleet(100, 16), FREE
    )  # 4 blocks of 128 images: 12.8 s, of which half is waited for again
    assert found.hours == pytest.approx((12.8 + 6.4) / 3600)


def test_impossible_fleets_are_refused():
    with pytest.raises(ValueError, match="one process"):
        estimate(1, TASK, Fleet(2, cluster=False), FREE)
    with pytest.raises(ValueError, match="GPU"):
        estimate(1, replace(TASK, gpu_rate=0), Fleet(1, gpus=1), FREE)


def test_assumptions_are_changed_by_name():
    found = changed(Assumptions(), ["vcpu_hour=0.02", "tar_images=0"])
    assert (found.vcpu_hour, found.tar_images) == (0.02, 0)
    for bad in ("vcpu=1", "vcpu_hour=cheap", "vcpu_hour=-1", "vcpu_hour=nan", "tar_images=1.5", "vcpu_hour"):
        with pytest.raises(ValueError, match=bad.partition("=")[0]):
            changed(Assumptions(), [bad])


def test_every_assumption_is_explained():
    assert "`cluster_start` | 20 | Seconds until" in scale_rows.assumed({})


def test_a_grid_takes_the_bytes_that_were_measured():
    rates = measured()
    assert rates["extract.mobilenet_v2"]["bytes_out"] == 49 * 1280 * 2
    known = tasks(rates, decode=1000)
    assert known["extract.mobilenet_v2.pooled"].bytes_out == 1280 * 4
    core = 1 / (1 / rates["extract.mobilenet_v2"]["images_per_core_second"] + 1 / 1000)
    assert known["extract.mobilenet_v2.grid"].core_rate == pytest.approx(core)


@pytest.mark.parametrize("name", ["scale", "scale_job"])
def test_pictures_are_current(name):
    rates = measured()
    assumed = assumptions(rates)
    drawn = picture(tasks(rates, assumed.decode_rate), assumed) if name == "scale" else job_picture()
    ElementTree.fromstring(drawn)  # noqa: S314 - our own
    kept = (paths.ROOT / "docs" / "images" / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == drawn, "run python -m tools.scale_model --pictures docs/images"
