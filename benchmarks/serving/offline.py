"""What the captioner answers without a server, in the form of ``POST /v1/captions``: what every answer must equal.

In a process of its own: reads ``model``, ``paths`` and ``options`` as JSON from standard input, and writes, for each
image, one answer for each of the options.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TOLERANCE = 1e-3


def run(job: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Captions each image with each of the options, one by one."""
    os.environ["MODEL"] = job["model"]
    from benchmarks.serving.apps.captioning import load

    captioner = load()
    return [
        [_expected(captioner, Path(path).read_bytes(), dict(options)) for options in job["options"]]
        for path in job["paths"]
    ]


def _expected(captioner: Any, image: bytes, options: dict[str, Any]) -> dict[str, Any]:
    caption = captioner.caption(
        image, options.pop("search", None), attention=captioner.attends, probabilities=True, **options
    )
    maps = caption.attention if caption.attention is not None else [None] * len(caption.words)
    return {
        "caption": caption.text,
        "log_probability": float(caption.log_probability),
        "words": [
            {"word": word, "probability": chance, "attention": None if own is None else own.round(5).tolist()}
            for word, chance, own in zip(caption.words, caption.probabilities, maps, strict=True)
        ],
        "alternatives": [other.text for other in caption.alternatives],
    }


def difference(found: dict[str, Any], expected: dict[str, Any], attention: bool) -> str:
    """Returns in what a result differs from the expected one; empty if it does not.

    Args:
        found: One of the ``results`` of an answer.
        expected: What ``run`` returned.
        attention: Whether attention maps were requested.
    """
    if found["caption"] != expected["caption"]:
        return f"the caption is {found['caption']!r} instead of {expected['caption']!r}"
    if [other["caption"] for other in found["alternatives"]] != expected["alternatives"]:
        return "other alternatives"
    if abs(found["log_probability"] - expected["log_probability"]) > TOLERANCE:
        return f"the log probability is {found['log_probability']} instead of {expected['log_probability']}"
    if [word["word"] for word in found["words"]] != [word["word"] for word in expected["words"]]:
        return "other words"
    for own, other in zip(found["words"], expected["words"], strict=True):
        if abs(own["probability"] - other["probability"]) > TOLERANCE:
            return f"the probability of {own['word']!r}"
        wanted = other["attention"] if attention else None
        if (own.get("attention") is None) != (wanted is None):
            return "attention maps are missing, or were not requested"
        if wanted is not None and not _close(own["attention"], wanted):
            return f"the attention map of {own['word']!r}"
    return ""


def _close(one: list[list[float]], other: list[list[float]]) -> bool:
    return [len(row) for row in one] == [len(row) for row in other] and all(
        abs(left - right) <= TOLERANCE
        for row, wanted in zip(one, other, strict=True)
        for left, right in zip(row, wanted, strict=True)
    )


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
