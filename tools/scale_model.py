"""The cost and time of jobs over 1 million to 1 billion images, from measured rates and stated assumptions.

    python -m tools.scale_model [--machines 16] [--vcpus 16] [--gpus 0] [--set NAME=VALUE …]
    python -m tools.scale_model --pictures docs/images

Rates, bytes and start-up come from results/scale/rates.json (``benchmarks/scale/rates.py``); prices, GPU rates and
what a network does are assumptions: every one is a field of ``Assumptions``, and ``--set`` changes it.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from capsmith.deploy.batch.plan import block_size
from tools import paths

RATES = paths.RESULTS / "scale" / "rates.json"
_HOUR, _GIGA = 3600.0, 1e9


@dataclass(frozen=True)
class Task:
    """What is computed for each image.

    Attributes:
        name: For tables.
        core_rate: Images per second of a CPU core, measured.
        start: Core seconds until a worker has its model, measured.
        bytes_out: Bytes of the result of an image.
        gpu_rate: Images per second of a GPU, assumed; 0 if the task uses none.
    """

    name: str
    core_rate: float
    start: float = 5.0
    bytes_out: float = 0.0
    gpu_rate: float = 0.0


@dataclass(frozen=True)
class Assumptions:
    """What was not measured here. Prices are in dollars, and stand for a large cloud's list prices on demand.

    Attributes:
        vcpu_hour: Price of a vCPU with its memory for an hour.
        gpu_hour: Price of a GPU for an hour, with the vCPUs beside it.
        gb_month: Price of a gigabyte in an object store for a month.
        reads_1000: Price of 1,000 reads from it.
        writes_1000: Price of 1,000 writes or listings.
        core_of_vcpu: Work of a vCPU relative to a core of the machine that was measured.
        efficiency: Share of a core's rate that remains when all cores of a machine work.
        gpu_vcpus: vCPUs beside a GPU, which decode images for it.
        decode_rate: Images of ``bytes_in`` that a core decodes in a second (measured; see ``assumptions``).
        bytes_in: Bytes of an image file, of one megapixel.
        tar_images: Images in a tar; 0: each is an object of its own.
        tar_reads: Reads of a tar's image: a tar is read in parts of some megabytes.
        network: Bytes that a machine reads in a second.
        page_seconds: Seconds of a listing of 1,000 objects.
        plan_rate: Names that the driver plans in a second (measured).
        driver_rate: Finished blocks that the driver takes in a second.
        cluster_start: Seconds until a Ray cluster has workers.
        hours_to_death: Mean hours until a worker dies, as spot machines do.
    """

    vcpu_hour: float = 0.05
    gpu_hour: float = 3.0
    gb_month: float = 0.023
    reads_1000: float = 0.0004
    writes_1000: float = 0.005
    core_of_vcpu: float = 1.0
    efficiency: float = 0.8
    gpu_vcpus: int = 16
    decode_rate: float = 300.0
    bytes_in: float = 170_000.0
    tar_images: int = 1_000
    tar_reads: float = 0.025
    network: float = 500e6
    page_seconds: float = 0.15
    plan_rate: float = 200_000.0
    driver_rate: float = 100.0
    cluster_start: float = 20.0
    hours_to_death: float = 24.0


@dataclass(frozen=True)
class Fleet:
    """Machines.

    Attributes:
        machines: Their number.
        vcpus: vCPUs of each, without GPUs.
        gpus: GPUs of each; they compute instead of the vCPUs.
        cluster: Ray joins them; False is one process, and needs one machine.
    """

    machines: int = 1
    vcpus: int = 16
    gpus: int = 0
    cluster: bool = True


@dataclass(frozen=True)
class Estimate:
    """Time and money of a job.

    Attributes:
        hours: From the command to the manifest.
        machine_hours: Hours × machines.
        planning_hours: Of these, until the first block is computed: the driver works alone.
        limit: What bounds the rate: ``compute``, ``network`` or ``driver``.
        gigabytes: Of the result.
        compute, requests, storage: Dollars; storage is that of the result for a month.
    """

    hours: float
    machine_hours: float
    planning_hours: float
    limit: str
    gigabytes: float
    compute: float
    requests: float
    storage: float

    @property
    def dollars(self) -> float:
        """All of it."""
        return self.compute + self.requests + self.storage


def worker_rate(task: Task, fleet: Fleet, assumed: Assumptions) -> float:
    """Returns images per second of a worker: a vCPU, or a GPU with the vCPUs that decode for it."""
    core = assumed.core_of_vcpu * assumed.efficiency
    if fleet.gpus:
        if not task.gpu_rate:
            raise ValueError(f"{task.name} uses no GPU")
        return min(task.gpu_rate, assumed.gpu_vcpus * assumed.decode_rate * core)
    return task.core_rate * core


def estimate(images: float, task: Task, fleet: Fleet, assumed: Assumptions | None = None) -> Estimate:
    """Returns time and money of a job.

    The driver plans alone; then all workers compute, as fast as the slowest of compute, network and driver allows; the
    last block is waited for. A worker that dies loses half a block and starts again.

    Args:
        images: Their number.
        task: What is computed.
        fleet: By what.
        assumed: Assumptions.

    Raises:
        ValueError: The task uses no GPU, or one process has several machines.
    """
    assumed = assumed or Assumptions()
    if fleet.machines > 1 and not fleet.cluster:
        raise ValueError("one process runs on one machine")
    per_object = max(assumed.tar_images, 1)
    objects = math.ceil(images / per_object)
    blocks = objects if assumed.tar_images else math.ceil(images / block_size(int(images)))
    per_block = images / max(blocks, 1)
    planning = objects / 1000 * assumed.page_seconds + objects / assumed.plan_rate
    rate = worker_rate(task, fleet, assumed)
    workers = fleet.machines * (fleet.gpus or fleet.vcpus)
    busy = min(workers, max(blocks, 1)) if fleet.cluster else workers  # one process shares a block among its cores
    block_seconds = per_block / rate
    lost = (block_seconds / 2 + task.start) / (assumed.hours_to_death * _HOUR)
    rates = {
        "compute": busy * rate * max(1 - lost, 1e-3),
        "network": fleet.machines * assumed.network / assumed.bytes_in,
    }
    if fleet.cluster:
        rates["driver"] = assumed.driver_rate * per_block
    limit = min(rates, key=lambda name: rates[name])
    start = task.start + assumed.cluster_start * fleet.cluster
    tail = block_seconds / 2 if fleet.cluster else 0.0
    seconds = planning + start + images / rates[limit] + tail
    hour = fleet.gpus * assumed.gpu_hour if fleet.gpus else fleet.vcpus * assumed.vcpu_hour
    gigabytes = images * task.bytes_out / _GIGA
    reads = images * assumed.tar_reads if assumed.tar_images else images * 2  # a file's size, then its content
    reads += 2 * blocks  # is it done, was it tried
    writes = 4 * blocks + objects / 1000  # count an attempt, features, shard, remove the count; listings
    return Estimate(
        hours=seconds / _HOUR,
        machine_hours=seconds / _HOUR * fleet.machines,
        planning_hours=planning / _HOUR,
        limit=limit,
        gigabytes=gigabytes,
        compute=seconds / _HOUR * fleet.machines * hour,
        requests=reads / 1000 * assumed.reads_1000 + writes / 1000 * assumed.writes_1000,
        storage=gigabytes * assumed.gb_month,
    )


def pays_from(task: Task, small: Fleet, large: Fleet, assumed: Assumptions | None = None) -> float:
    """Returns from how many images on a fleet is quicker than another; infinite if it never is."""
    low, high = 1.0, 1e12

    def gains(images: float) -> bool:
        return estimate(images, task, large, assumed).hours < estimate(images, task, small, assumed).hours

    if not gains(high):
        return math.inf
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gains(middle) else (middle, high)
    return high


# --- what was measured ---------------------------------------------------------------------------------------------

POOLED = {"mobilenet_v2": 1280, "efficientnet_lite2": 1280, "inception_v3": 1280, "resnet50": 2048}
"""Length of a pooled vector; it is kept as float32."""
GPU = {"extract.mobilenet_v2": 4000.0, "extract.resnet50": 2500.0, "extract.inception_v3": 2000.0, "caption.blip": 60.0}
"""Images per second of a data-centre GPU: ASSUMED, for no GPU was at hand."""
BLIP_SECONDS = 3.0
"""Core seconds of a caption by BLIP base with greedy search, see docs/other_captioners.md."""


def measured() -> dict[str, dict[str, float]]:
    """Returns the measurements on one core by name."""
    kept: Mapping[str, Any] = json.loads(RATES.read_text(encoding="utf-8"))
    return {name: found["cores_1"] for name, found in kept["rates"].items()}


def assumptions(rates: Mapping[str, Mapping[str, float]]) -> Assumptions:
    """Returns the assumptions with the rates of planning and decoding that were measured."""
    found: dict[str, Any] = {}
    if "plan" in rates:
        found["plan_rate"] = rates["plan"]["images_per_core_second"]
    if "decode.photo" in rates:
        found["decode_rate"] = rates["decode.photo"]["images_per_core_second"]
    return Assumptions(**found)


def tasks(rates: Mapping[str, Mapping[str, float]], decode: float = math.inf) -> dict[str, Task]:
    """Returns the tasks by name.

    Args:
        rates: ``measured()``.
        decode: Ordinary photographs that a core decodes in a second. The images of the measurements are 224 × 224
            pixels: the difference is added to each task.
    """
    found: dict[str, Task] = {}
    for name, one in rates.items():
        kind, _, what = name.partition(".")
        if kind not in ("extract", "caption", "index"):
            continue
        rate = 1 / (1 / one["images_per_core_second"] + 1 / decode)
        task = Task(name, rate, one["start_core_seconds"], one["bytes_out"], GPU.get(name, 0.0))
        if kind == "extract":
            found[f"{name}.pooled"] = replace(task, name=f"{name}.pooled", bytes_out=4.0 * POOLED[what])
            found[f"{name}.grid"] = replace(task, name=f"{name}.grid")
        else:
            found[name] = task
    captions = rates.get("caption.starter", {}).get("bytes_out", 100.0)
    blip = 1 / (BLIP_SECONDS + 1 / decode)
    found["caption.blip"] = Task("caption.blip", blip, 10.0, captions, GPU["caption.blip"])
    return found


# --- the command ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Prints the table, or draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=16)
    parser.add_argument("--vcpus", type=int, default=16, help="of a machine")
    parser.add_argument("--gpus", type=int, default=0, help="of a machine")
    parser.add_argument("--images", type=float, nargs="+", default=[1e6, 1e8, 1e9])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another assumption")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw scale.svg and scale_job.svg instead")
    args = parser.parse_args()
    rates = measured()
    try:
        assumed = changed(assumptions(rates), args.set)
    except ValueError as error:
        parser.error(str(error))
    if args.pictures:
        from tools.scale_picture import job_picture, picture

        drawn = picture(tasks(rates, assumed.decode_rate), assumed)
        (args.pictures / "scale.svg").write_text(drawn, encoding="utf-8")
        (args.pictures / "scale_job.svg").write_text(job_picture(), encoding="utf-8")
        return
    fleet = Fleet(args.machines, args.vcpus, args.gpus)
    print(table(tasks(rates, assumed.decode_rate), fleet, assumed, args.images))


def changed(assumed: Assumptions, settings: Sequence[str]) -> Assumptions:
    """Returns changed assumptions.

    Args:
        assumed: The assumptions.
        settings: As in ``vcpu_hour=0.02``.

    Raises:
        ValueError: There is no such assumption, or its value is no number of its kind.
    """
    known = {field.name: field.type for field in fields(Assumptions)}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            raise ValueError(f"{name} is no assumption: {', '.join(known)}")
        try:
            wanted: Any = int(value) if known[name] is int else float(value)
        except ValueError as error:
            raise ValueError(f"{setting}: {value} is no number") from error
        if not 0 <= wanted < math.inf:
            raise ValueError(f"{setting}: not below 0, nor infinite")
        assumed = replace(assumed, **{name: wanted})
    return assumed


def table(found: Mapping[str, Task], fleet: Fleet, assumed: Assumptions, images: Sequence[float]) -> str:
    """Returns a Markdown table: a row for each task and number of images."""
    lines = [
        "| task | images | hours | machine-hours | result | compute | requests | storage a month | limit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, task in found.items():
        if fleet.gpus and not task.gpu_rate:
            continue
        for count in images:
            one = estimate(count, task, fleet, assumed)
            cells = [name, short(count), number(one.hours), number(one.machine_hours), size(one.gigabytes)]
            cells += [f"${number(part)}" for part in (one.compute, one.requests, one.storage)]
            lines.append(f"| {' | '.join([*cells, one.limit])} |")
    return "\n".join(lines)


def short(images: float) -> str:
    """Returns a number of images such as ``100M``."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if images >= unit:
            return f"{images / unit:g}{name}"
    return f"{images:g}"


def number(value: float) -> str:
    """Returns two significant digits."""
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}" if value < 10 else f"{round(value, digits):,.0f}"


def size(gigabytes: float) -> str:
    """Returns a size in GB or TB."""
    return f"{number(gigabytes / 1000)} TB" if gigabytes >= 1000 else f"{number(gigabytes)} GB"


if __name__ == "__main__":
    main()
