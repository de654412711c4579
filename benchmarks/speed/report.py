"""The measurements as bars, as tables, and as figures of results/summary.json."""

import json
from pathlib import Path
from typing import Any

from capsmith.evaluation.line_chart import COLOURS, GREY, INK, RULE, Canvas

COMMAND, FAR = "make bench", "make bench BENCH=far"
_COMPARED = {
    "train_vs_notebook": "training on one row per prefix with one-hot targets, the same merge model",
    "train_vs_keras": "keras.layers.LSTM and fit on padded sentences, the same merge model",
    "train_vs_torch": "torch.nn.LSTM on padded sentences, the same merge model",
    "attention_vs_torch": "PyTorch soft attention over 8 × 8 regions",
}
_PRECISIONS = {
    "same_precision": "both in float32, the default",
    "same_precision_bf16": "both in bfloat16",
    "each_best": "each side in its faster precision",
}
FIGURES = {
    **{
        f"{name}_{kind}": f"× the captions/s of {what}, {how}"
        for name, what in _COMPARED.items()
        for kind, how in _PRECISIONS.items()
    },
    "train_share_of_peak": "of the machine's matrix product rate, without padding: the merge model",
    "attention_share_of_peak": "of the machine's matrix product rate, without padding: attention on attention",
    "train_share_of_peak_bf16": "the merge model in bfloat16, of the bfloat16 matrix product rate",
    "attention_share_of_peak_bf16": "attention on attention in bfloat16, of the bfloat16 matrix product rate",
    "extract_share_of_cnn_resnet50": "of the CNN's own images/s at batch 32, from JPEG files to features: ResNet50",
    "extract_share_of_cnn_mobilenet_v2": "the same for MobileNetV2; JPEG decoding is a tenth of its work on two cores",
    "extract_vs_notebook": "× the images/s of load_img and predict, one image at a time: MobileNetV2",
    "extract_bf16_gain": "× the images/s of float32, ResNet50 in bfloat16",
    "extract_bf16_cosine": "lowest cosine between float32 and bfloat16 features over 16 images (random weights)",
    "extract_cosine_of_others": "highest cosine between the features of two different images, for comparison",
    "decode_beam5_per_second": "captions/s from features, merge model, beam 5, batch 256",
    "decode_vs_notebook": "× the captions/s of the notebook's greedy loop around predict: beam 5, batch 256",
    "decode_one_vs_notebook": "× the captions/s of the same loop: greedy, one image at a time",
    "latency_vs_cnn_resnet50": "× the CNN's time for one image, from file to caption: ResNet50, merge, beam 5",
    "latency_vs_cnn_mobilenet_v2": "× MobileNetV2's time for one image, from file to caption: merge, beam 5",
    "latency_vs_cnn_attention": "the same with attention on attention",
    "train_memory_gb": "above the memory after importing: attention model, 8,000 grids of 8 × 8 × 1280",
    "far_train_seconds": "seconds of a training step at 64,000 images, relative to 1,000",
    "far_extract_seconds": "extraction seconds per image at 64,000 images, relative to 1,000 (start-up included)",
    "far_decode_seconds": "captioning seconds per image at 64,000 images, relative to 1,000 (compilation included)",
    "far_train_memory": "training memory at 64,000 images, relative to 1,000",
    "far_extract_memory": "extraction memory at 64,000 images, relative to 1,000",
    "far_decode_memory": "captioning memory at 64,000 images, relative to 1,000",
}
"""Figures by their name in ``speed.NAME``, and what they are."""
_WIDTH, _ROW, _LABELS = 980, 26, 330


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Returns every figure that was measured."""
    parts = [part["ratios"] for part in found.values() if isinstance(part, dict) and "ratios" in part]
    return {name: value for part in parts for name, value in part.items() if value is not None}


def enter(found: dict[str, Any], summary: Path) -> None:
    """Enters the figures into the summary."""
    entries = json.loads(summary.read_text(encoding="utf-8"))
    measured = ratios(found)
    entries = {name: entry for name, entry in entries.items() if entry["command"] not in (COMMAND, FAR)}
    for name, note in FIGURES.items():
        if name in measured:
            unit = "GB" if name.endswith("_gb") else ""
            value = round(measured[name], 3)
            command = FAR if name.startswith("far_") else COMMAND
            entries[f"speed.{name}"] = {"value": value, "unit": unit, "command": command, "seeds": 1, "note": note}
    summary.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tables(found: dict[str, Any]) -> str:
    """Returns the rates of every part in Markdown."""
    cpu = found["machine"]
    card = f"{cpu['gpu']}, " if cpu.get("gpu") else ""
    lines = [f"{card}{cpu['cpu']}, {cpu['cores']} cores, {', '.join(cpu['has']) or 'no vector extensions known'};"]
    lines[0] += f" Keras on {cpu.get('backend', 'tensorflow')}."
    lines.append("")
    for part, about in found.items():
        if not isinstance(about, dict) or "rates" not in about:
            continue
        lines += [
            f"**{part}**, {about['unit']}",
            "",
            "| entrant | median | slowest | fastest | per core second |",
            "|---|---|---|---|---|",
        ]
        lines += [f"| {name} | {_row(result)} |" for name, result in about["rates"].items()]
        lines.append("")
    if answers := found.get("latency", {}).get("answers_after_seconds"):
        lines += ["**start-up**, seconds in a new process", "", "| capsmith … | seconds |", "|---|---|"]
        lines += [f"| `{command}` | {seconds:.2f} |" for command, seconds in answers.items()] + [""]
    if shares := found.get("profile", {}).get("shares"):
        lines += ["**profile**, time of a training step", "", f"| kind | {' | '.join(shares)} |"]
        lines.append("|---" * (len(shares) + 1) + "|")
        for kind in next(iter(shares.values())):
            lines.append(f"| {kind} | " + " | ".join(f"{each[kind]:.0%}" for each in shares.values()) + " |")
        lines.append("")
    if seconds := found.get("epoch", {}).get("seconds"):
        lines += [
            "**epoch**, seconds for the 30,000 training captions of Flickr8k",
            "",
            "| model | seconds |",
            "|---|---|",
        ]
        lines += [f"| {name} | {value:.3g} |" for name, value in seconds.items()] + [""]
    for part in ("growth", "far"):
        if not (stages := found.get(part, {}).get("stages")):
            continue
        lines += [
            f"**{part}**",
            "",
            "| stage | images | GB above import | seconds per step or image |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {stage} | {int(count):,} | {row['gigabytes']:.2f} | {row['seconds']:.4f} |"
            for stage, counts in stages.items()
            for count, row in counts.items()
        ]
        lines.append("")
    return "\n".join(lines)


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws the entrants of each part as bars; each part has its own scale."""
    parts = {n: p for n, p in found.items() if isinstance(p, dict) and "rates" in p}
    shown = {
        n: [(w, r) for w, r in p["rates"].items() if "rate" in r and "products" not in w] for n, p in parts.items()
    }
    height = sum(60 + _ROW * len(ways) for ways in shown.values()) + 20
    canvas, y = Canvas(_WIDTH, height), 10
    for part, ways in shown.items():
        canvas.text(20, y + 20, f"{part}: {parts[part]['unit']}", INK, 18)
        y += 46
        most = max(result["fastest"] for _, result in ways)
        for way, result in ways:
            _bar(canvas, y, way, result, (_WIDTH - _LABELS - 110) / most)
            y += _ROW
        y += 14
    canvas.finished().save(path)


def _bar(canvas: Canvas, y: float, way: str, result: dict[str, Any], scale: float) -> None:
    own = way.startswith(("capsmith", "caption"))
    middle, end = y + _ROW / 2, _LABELS + result["rate"] * scale
    canvas.text(_LABELS - 10, middle, way, INK if own else GREY, 14, "rm")
    canvas.line([(_LABELS, middle), (max(end, _LABELS + 1), middle)], COLOURS[0] if own else COLOURS[6], 14)
    canvas.line([(_LABELS + result[key] * scale, middle) for key in ("slowest", "fastest")], INK, 1.5)
    canvas.text(_LABELS + result["fastest"] * scale + 8, middle, _number(result["rate"]), INK if own else GREY, 14)
    canvas.line([(_LABELS, y), (_LABELS, y + _ROW)], RULE)


def _row(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{result['error']} | | | "
    keys = ("rate", "slowest", "fastest", "cpu_rate")
    return " | ".join(_number(result[key]) if key in result else "" for key in keys)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 or value > 1e6 else f"{value:,.0f}"
