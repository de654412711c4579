"""The tables of docs/scale.md: measured rates, estimates, assumptions."""

from dataclasses import fields

from tools.scale_model import GPU, Assumptions, Fleet, assumptions, estimate, measured, number, size, tasks
from tools.table_rows import Summary, header, line

FLEET = Fleet(machines=16, vcpus=16)
GPUS = Fleet(machines=2, gpus=8)
IMAGES = (1e6, 1e8, 1e9)
_MADE = "decode.photo", "plan"  # measured rates that are parts of others
_ORDER = ("extract", "caption", "index")
_SHOWN = (
    "extract.mobilenet_v2.pooled",
    "extract.mobilenet_v2.grid",
    "extract.resnet50.pooled",
    "extract.resnet50.grid",
    "caption.starter",
    "caption.blip",
    "index",
)


def rates(_: Summary) -> str:
    """Returns what was measured on one core."""
    lines = header("task", "images/s of a core", "bytes an image", "start, core seconds", "peak memory, MB")
    found = measured()
    ordered = sorted(found, key=lambda name: (_ORDER.index(name.partition(".")[0]) if name not in _MADE else 9, name))
    for name in ordered:
        one = found[name]
        start = number(one["start_core_seconds"]) if "start_core_seconds" in one and name not in _MADE else ""
        made = "" if name == "decode.photo" else f"{one['bytes_out']:,.0f}"
        lines.append(line(f"`{name}`", number(one["images_per_core_second"]), made, start, f"{one['memory_mb']:,}"))
    return "\n".join(lines)


def costs(_: Summary) -> str:
    """Returns hours, size and money of some tasks."""
    found = measured()
    assumed = assumptions(found)
    known = tasks(found, assumed.decode_rate)
    labels = [f"{label}: hours, $" for label in ("1M", "100M", "1B")]
    lines = header("task", "core-hours of 1M", *labels, "1B on 16 GPUs", "result of 1B", "its storage a month")
    for name in _SHOWN:
        if name not in known:
            continue
        task = known[name]
        every = [estimate(images, task, FLEET, assumed) for images in IMAGES]
        gpus = [estimate(IMAGES[-1], task, GPUS, assumed)] if task.gpu_rate else []
        cells = [f"{number(one.hours)} h, ${number(one.compute + one.requests)}" for one in [*every, *gpus]]
        cells += [""] * (not gpus)
        core_hours = number(1e6 / task.core_rate / 3600)
        lines.append(line(f"`{name}`", core_hours, *cells, size(every[-1].gigabytes), f"${number(every[-1].storage)}"))
    return "\n".join(lines)


def assumed(_: Summary) -> str:
    """Returns the assumptions."""
    from_rates = assumptions(measured())
    lines = header("name", "value", "what it is")
    texts = _texts(Assumptions.__doc__ or "")
    for field in fields(Assumptions):
        if field.name not in ("plan_rate", "decode_rate"):
            lines.append(line(f"`{field.name}`", _plain(getattr(from_rates, field.name)), texts[field.name]))
    for name, rate in GPU.items():
        lines.append(line(f"`{name}` on a GPU", _plain(rate), "Images a second of a data-centre GPU"))
    return "\n".join(lines)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _texts(docstring: str) -> dict[str, str]:
    """Returns the description of each attribute of a docstring, on one line."""
    found: dict[str, str] = {}
    name = ""
    for text in docstring.partition("Attributes:")[2].splitlines():
        head, colon, rest = text.strip().partition(": ")
        if colon and text.startswith(" " * 8) and not text.startswith(" " * 9):
            name, found[head] = head, rest.rstrip(".")
        elif name and text.strip():
            found[name] += " " + text.strip().rstrip(".")
    return found
