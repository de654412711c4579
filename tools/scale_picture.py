"""Draws docs/images/scale.svg and docs/images/scale_job.svg: hours against images, and the parts of a job.

A picture has a background of its own, so that it reads in light and dark pages alike.
"""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from tools.scale_model import Assumptions, Fleet, Task, estimate, number, pays_from, short

FLEETS = {
    "one process, 2 cores": Fleet(1, 2, cluster=False),
    "one process, 16 cores": Fleet(1, 16, cluster=False),
    "Ray, 16 machines": Fleet(16, 16),
    "Ray, 256 machines": Fleet(256, 16),
}
COLOURS = ("#8a5a00", "#b3261e", "#1558b0", "#1b7a3d")
TASK = "caption.starter"
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 820, 470, 80, 58, 190, 58
_IMAGES, _HOURS = (1e3, 1e9), (5 / 3600, 1e5)
_MARKS = {"a minute": 1 / 60, "an hour": 1.0, "a day": 24.0, "a month": 720.0, "a year": 8760.0}
_STYLE = "font-family:system-ui,sans-serif;font-size:13px;fill:#222"


def picture(tasks: Mapping[str, Task], assumed: Assumptions) -> str:
    """Returns the picture of hours against images.

    Args:
        tasks: See ``scale_model.tasks``.
        assumed: Assumptions.
    """
    parts = [
        *_axes(),
        _text(_LEFT, 26, "Captions by the starter: hours against images", "font-size:16px;font-weight:600"),
    ]
    note = "solid where the next smaller engine takes longer; 16 vCPUs a machine; tars of 1,000 images"
    parts.append(_text(_LEFT, 45, note, "fill:#555"))
    task, smaller = tasks[TASK], None
    for (name, fleet), colour in zip(FLEETS.items(), COLOURS, strict=True):
        start = _IMAGES[0] if smaller is None else pays_from(task, smaller, fleet, assumed)
        parts += _line(task, fleet, assumed, colour, start)
        billion = estimate(_IMAGES[1], task, fleet, assumed)
        hours = billion.hours
        time = f"{number(hours / 24)} days" if hours > 48 else f"{number(hours)} hours"
        label = [name, f"1B: {time}, ${number(billion.dollars)}"]
        for row, text in enumerate(label):
            y = _y(hours) + 1 + 16 * row
            parts.append(_text(_WIDTH - _RIGHT + 10, y, text, f"fill:{colour}" + ";font-weight:600" * (row == 0)))
        if smaller is not None and _IMAGES[0] < start < _IMAGES[1]:
            x, y = _x(start), _y(estimate(start, task, fleet, assumed).hours)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
            parts.append(_text(x + 8, y + 15, f"from {short(_rounded(start))}", f"fill:{colour}"))
        smaller = fleet
    return _svg(parts, _WIDTH, _HEIGHT, "Hours of a caption job against its number of images, for four engines")


def job_picture() -> str:
    """Returns the picture of a job: driver, plan, workers, shards."""
    blue, green, red = COLOURS[2], COLOURS[3], COLOURS[1]
    parts = [
        _box(20, 60, 160, 90, red, "input", ("images, tars,", "Parquet; local, S3")),
        _box(290, 20, 200, 62, blue, "driver", ("plans; sends block numbers",)),
        _box(
            290, 128, 200, 118, green, "workers", ("each holds the model:", "read a block, compute,", "write its shard")
        ),
        _box(600, 20, 200, 62, blue, "plan/", ("names, in numbered blocks",)),
        _box(600, 128, 200, 118, green, "shards/", ("00000000.parquet", "00000001.parquet", "…")),
        _arrow(180, 88, 290, 55, blue, "lists"),
        _arrow(180, 122, 290, 175, green, "images", 22),
        _arrow(490, 42, 600, 42, blue, "writes once"),
        _arrow(370, 82, 370, 128, blue, ""),
        _text(280, 110, "block 17", f"fill:{blue};text-anchor:start"),
        _arrow(410, 128, 410, 82, green, ""),
        _text(420, 110, "17 is done", f"fill:{green}"),
        _arrow(600, 72, 490, 142, green, "names", 34),
        _arrow(490, 205, 600, 205, green, "whole files"),
        _text(20, 280, "A restart asks shards/ which numbers are there, and computes the others.", "fill:#555"),
    ]
    return _svg(parts, 820, 300, "The driver plans and sends numbers; workers read images and write shards")


def _line(task: Task, fleet: Fleet, assumed: Assumptions, colour: str, start: float) -> list[str]:
    first, last = (math.log10(end) for end in _IMAGES)
    images = [10 ** (first + (last - first) * step / 120) for step in range(121)]
    points = [(_x(count), _y(estimate(count, task, fleet, assumed).hours), count >= start) for count in images]
    solid = [point[:2] for point in points if point[2]]
    dashed = [point[:2] for point in points if not point[2]] + solid[:1]
    return [_path(dashed, colour, 'stroke-dasharray="3 5" opacity="0.75"'), _path(solid, colour, "")]


def _path(points: Sequence[tuple[float, float]], colour: str, more: str) -> str:
    if len(points) < 2:
        return ""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" {more}/>'


def _axes() -> list[str]:
    parts, right, bottom = [], _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for power in range(3, 10):
        x = _x(10.0**power)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 20, short(10.0**power), "text-anchor:middle"))
    for name, hours in _MARKS.items():
        y = _y(hours)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 8, y + 4, name, "text-anchor:end"))
    parts.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" stroke="#666" fill="none"/>')
    parts.append(_text((_LEFT + right) / 2, bottom + 42, "images", "text-anchor:middle;fill:#555"))
    return parts


def _x(images: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(images, _IMAGES)


def _y(hours: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(hours, _HOURS)


def _share(value: float, ends: tuple[float, float]) -> float:
    first, last = (math.log10(end) for end in ends)
    return (math.log10(min(max(value, ends[0]), ends[1])) - first) / (last - first)


def _rounded(images: float) -> float:
    digits = math.floor(math.log10(images))
    return round(images / 10**digits) * 10.0**digits


def _box(x: int, y: int, width: int, height: int, colour: str, title: str, lines: Sequence[str]) -> str:
    frame = f'rx="6" fill="#fff" stroke="{colour}" stroke-width="2"'
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {frame}/>'
    texts = [_text(x + 12, y + 24, title, f"font-weight:600;font-size:15px;fill:{colour}")]
    texts += [_text(x + 12, y + 46 + 20 * row, line, "") for row, line in enumerate(lines)]
    return box + "".join(texts)


def _arrow(x: int, y: int, to_x: int, to_y: int, colour: str, label: str, below: int = -8) -> str:
    length = math.hypot(to_x - x, to_y - y)
    along = ((to_x - x) / length, (to_y - y) / length)
    base = (to_x - 10 * along[0], to_y - 10 * along[1])
    wings = [(base[0] + side * 5 * along[1], base[1] - side * 5 * along[0]) for side in (1, -1)]
    head = " ".join(f"{a:.1f},{b:.1f}" for a, b in (*wings, (to_x, to_y)))
    line = f'<path d="M{x} {y}L{base[0]:.1f} {base[1]:.1f}" stroke="{colour}" stroke-width="2"/>'
    text = _text((x + to_x) / 2, (y + to_y) / 2 + below, label, f"text-anchor:middle;fill:{colour}") if label else ""
    return f'{line}<polygon points="{head}" fill="{colour}"/>{text}'


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{_STYLE};{style}">{escape(text)}</text>'


def _svg(parts: Sequence[str], width: int, height: int, title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    back = f'<rect width="{width}" height="{height}" rx="8" fill="#fafafa"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", back, *(part for part in parts if part), "</svg>", ""])
