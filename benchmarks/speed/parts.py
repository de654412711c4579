"""The parts of the benchmark: their entrants, and the ratios between them."""

import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks import startup
from benchmarks.speed.contest import Entrant, How, Result, contest, ratio
from benchmarks.speed.corpus import EACH, LENGTHS, VOCABULARY
from benchmarks.speed.encoders import likeness
from benchmarks.speed.growth import measure
from benchmarks.speed.latency import cold
from benchmarks.speed.profile import measure as profiled
from benchmarks.speed.ways import CHANNELS, UNITS, D
from capsmith.cli import VERBS

WORDS = sum(length * share for length, share in LENGTHS.items()) / sum(LENGTHS.values()) + 1
"""Words to be said of a caption, its end counted."""
_WAYS, _TORCH, _ENCODERS, _DECODERS, _LATENCY = (
    f"benchmarks.speed.{module}" for module in ("ways", "torch_ways", "encoders", "decoders", "latency")
)
_PRECISIONS = ("float32", "bfloat16")


def training(how: How) -> dict[str, Any]:
    """Training the merge model, and capsmith's other decoders."""
    few, many = how.times(6, 2), how.times(12, 2)
    ours = (("merge", many), ("inject", many), ("attention", few), ("aoa", few))
    entrants = [
        *(Entrant(f"products, {p}", f"{_WAYS}:products", {"precision": p}) for p in _PRECISIONS),
        *(
            Entrant(f"capsmith {kind}, {p}", f"{_WAYS}:capsmith", {"decoder": kind, "precision": p, "batches": batches})
            for kind, batches in ours
            for p in _PRECISIONS[: 1 + (kind != "inject")]
        ),
        *(Entrant(f"plain Keras, {p}", f"{_WAYS}:plain_keras", {"batches": few, "precision": p}) for p in _PRECISIONS),
        *(
            Entrant(
                f"PyTorch {kind}, {p}", f"{_TORCH}:{kind}", {"batches": max(1, batches // 3), "precision": p}, "torch"
            )
            for kind, batches in (("merge", many), ("attention", few))
            for p in _PRECISIONS
        ),
        *(
            Entrant(f"notebook, {p}", f"{_WAYS}:notebook", {"images": how.times(10, 2), "precision": p})
            for p in _PRECISIONS
        ),
    ]
    found = contest(entrants, how)
    ratios = {
        **_at_equal_precision(found, "train_vs_notebook", "capsmith merge", "notebook"),
        **_at_equal_precision(found, "train_vs_keras", "capsmith merge", "plain Keras"),
        **_at_equal_precision(found, "train_vs_torch", "capsmith merge", "PyTorch merge"),
        **_at_equal_precision(found, "attention_vs_torch", "capsmith attention", "PyTorch attention"),
        **_shares(found, "train_share_of_peak", "capsmith merge", merge_operations()),
        **_shares(found, "attention_share_of_peak", "capsmith aoa", attention_operations()),
    }
    return _told(found, ratios, "captions")


def extraction(how: How) -> dict[str, Any]:
    """From JPEG files to stored features."""
    with tempfile.TemporaryDirectory() as folder:
        count = 32 * how.times(4)
        counts = {"mobilenet_v2": 3 * count, "resnet50": count}  # some seconds of work each
        entrants = [
            Entrant(f"capsmith {name}", f"{_ENCODERS}:capsmith", {"encoder": name, "folder": folder, "count": many})
            for name, many in counts.items()
        ] + [
            Entrant(f"{name} alone", f"{_ENCODERS}:alone", {"encoder": name, "batches": many // 32})
            for name, many in counts.items()
        ]
        rounded = {"encoder": "resnet50", "folder": folder, "count": count, "precision": "bfloat16"}
        entrants.append(Entrant("capsmith resnet50, bfloat16", f"{_ENCODERS}:capsmith", rounded))
        few = {"application": "MobileNetV2", "folder": folder, "count": how.times(24, 8)}
        found = contest([*entrants, Entrant("notebook", f"{_ENCODERS}:notebook", few)], how)
    ratios = {
        "extract_share_of_cnn_resnet50": ratio(found["capsmith resnet50"], found["resnet50 alone"]),
        "extract_share_of_cnn_mobilenet_v2": ratio(found["capsmith mobilenet_v2"], found["mobilenet_v2 alone"]),
        "extract_vs_notebook": ratio(found["capsmith mobilenet_v2"], found["notebook"]),
        "extract_bf16_gain": ratio(found["capsmith resnet50, bfloat16"], found["capsmith resnet50"]),
        **likeness("resnet50"),
    }
    return _told(found, ratios, "images")


def decoding(how: How) -> dict[str, Any]:
    """From features to captions."""
    entrants = [
        Entrant(
            f"capsmith {kind}, {search if search == 'greedy' else f'beam {beams}'}, batch {batch}",
            f"{_DECODERS}:capsmith",
            {"decoder": kind, "search": search, "beams": beams, "batch": batch, "rounds": how.times(times)},
        )
        for kind in ("merge", "aoa")
        for search, beams, batch, times in (
            ("greedy", 1, 1, 20),
            ("greedy", 1, 256, 2),
            ("beam", 3, 256, 1),
            ("beam", 5, 1, 10),
            ("beam", 5, 256, 1),
        )
    ]
    entrants.append(Entrant("notebook, greedy", f"{_DECODERS}:notebook", {"captions": how.times(3)}))
    found = contest(entrants, how)
    loop = found["notebook, greedy"]
    ratios = {
        "decode_beam5_per_second": best.rate if (best := found["capsmith merge, beam 5, batch 256"]).rates else None,
        "decode_vs_notebook": ratio(found["capsmith merge, beam 5, batch 256"], loop),
        "decode_one_vs_notebook": ratio(found["capsmith merge, greedy, batch 1"], loop),
    }
    return _told(found, ratios, "captions")


def latency(how: How) -> dict[str, Any]:
    """One image, from file to caption; and the answer time of the command line."""
    times = how.times(10)
    models = (("resnet50", "merge"), ("mobilenet_v2", "merge"), ("mobilenet_v2", "aoa"))
    entrants = [
        Entrant(
            f"{name}, {encoder} {decoder}",
            f"{_LATENCY}:{way}",
            {"encoder": encoder, "decoder": decoder, "times": times},
        )
        for encoder, decoder in models
        for name, way in (("caption", "caption"), ("CNN alone", "alone"))
    ]
    found = contest(entrants, how)
    names = ("latency_vs_cnn_resnet50", "latency_vs_cnn_mobilenet_v2", "latency_vs_cnn_attention")
    ratios = {
        name: ratio(found[f"CNN alone, {encoder} {decoder}"], found[f"caption, {encoder} {decoder}"])
        for name, (encoder, decoder) in zip(names, models, strict=True)
    }
    verbs = [
        ("--help",),
        ("list", "decoders"),
        ("validate", "--config", "flickr8k.yaml", "--no-files"),
        *((v, "--help") for v in VERBS),
    ]
    answers = {" ".join(verb): startup.seconds(*verb) for verb in verbs}
    answers["caption RUN IMAGE"] = cold("mobilenet_v2", "merge")
    return _told(found, ratios, "images") | {"answers_after_seconds": answers}


def growing(how: How) -> dict[str, Any]:
    """Memory and time of each stage with a growing number of images."""
    rows = _grown(how, {"train": (1000, 8000, 64000), "extract": (64, 512), "decode": (512, 2048)})
    return {"stages": rows, "ratios": {"train_memory_gb": rows["train"]["8000"]["gigabytes"]}}


def growing_far(how: How) -> dict[str, Any]:
    """The same up to 64,000 images at every stage: takes a quarter of an hour."""
    rows = _grown(how, dict.fromkeys(("train", "extract", "decode"), (1000, 8000, 64000)))
    ratios = {
        f"far_{stage}_{name}": counts["64000"][key] / counts["1000"][key]
        for stage, counts in rows.items()
        for name, key in (("seconds", "seconds"), ("memory", "gigabytes"))
    }
    return {"stages": rows, "ratios": ratios}


def epoch(how: How) -> dict[str, Any]:
    """All training captions of Flickr8k once, with the models of the configs."""
    shapes = {"flickr8k_attention.yaml": (64, 2560), "flickr8k_quick.yaml": (64, 1280), "flickr8k.yaml": (2048,)}
    entrants = [
        Entrant(f"{config}, {p}", f"{_WAYS}:epoch", {"config": config, "shape": shape, "precision": p})
        for config, shape in shapes.items()
        for p in _PRECISIONS
    ]
    found = contest(entrants, how)
    told = _told(found, {}, "captions")
    return told | {"seconds": {name: 30000 / result.rate for name, result in found.items() if result.rates}}


def _grown(how: How, sizes: dict[str, tuple[int, ...]]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for stage, counts in sizes.items():
        for count in counts:
            rows.setdefault(stage, {})[str(count)] = found = measure(stage, count)
            how.say(f"{stage}, {count:,} images: {found['gigabytes']:.2f} GB, {found['seconds']:.4f} s each")
    return rows


def profile(how: How) -> dict[str, Any]:
    """Time of training steps by kind of operation."""
    which = (("merge", "float32"), ("aoa", "float32"), ("aoa", "bfloat16"))
    models = {f"{kind}, {p}": profiled(kind, p) for kind, p in which}
    for name, shares in models.items():
        how.say(f"{name}: " + ", ".join(f"{kind} {value:.0%}" for kind, value in shares.items()))
    return {"shares": models, "ratios": {}}


PARTS: dict[str, Callable[[How], dict[str, Any]]] = {
    "training": training,
    "extraction": extraction,
    "decoding": decoding,
    "latency": latency,
    "growth": growing,
    "profile": profile,
}
MORE: dict[str, Callable[[How], dict[str, Any]]] = {"far": growing_far, "epoch": epoch}
"""Parts that run only when they are named."""


def merge_operations() -> float:
    """Returns the floating-point operations of matrix products for learning one caption, without padding."""
    word = CHANNELS * 4 * UNITS + UNITS * 4 * UNITS + UNITS * UNITS + UNITS * VOCABULARY
    return 3 * 2 * (WORDS * word + D * UNITS / EACH)


def attention_operations() -> float:
    """Returns the same for ``aoa`` with 512 units, tied embeddings and 64 regions, shared by five captions."""
    word = CHANNELS * 4 * UNITS + UNITS * 4 * UNITS + UNITS * UNITS + 2 * 64 * UNITS + 2 * UNITS * 2 * UNITS
    word += UNITS * CHANNELS + CHANNELS * VOCABULARY
    image = 64 * UNITS * (D * 2 / 3 + 2 * UNITS) + UNITS * 4 * UNITS  # nothing learns from features' gradients
    return 3 * 2 * (WORDS * word + image / EACH)


def _best(found: dict[str, Result], name: str) -> Result:
    """Returns the result in the faster precision."""
    return max((found[f"{name}, {p}"] for p in _PRECISIONS), key=lambda result: result.rate if result.rates else 0.0)


def _at_equal_precision(found: dict[str, Result], name: str, way: str, other: str) -> dict[str, float | None]:
    """Returns the ratio of two entrants: both in float32, both in bfloat16, and each in its faster precision."""
    float32, bfloat16 = (ratio(found[f"{way}, {p}"], found[f"{other}, {p}"]) for p in _PRECISIONS)
    return {
        f"{name}_same_precision": float32,
        f"{name}_same_precision_bf16": bfloat16,
        f"{name}_each_best": ratio(_best(found, way), _best(found, other)),
    }


def _shares(found: dict[str, Result], name: str, way: str, operations: float) -> dict[str, float | None]:
    """Returns an entrant's share of the machine's matrix product rate, in each precision."""
    shares = {p: ratio(found[f"{way}, {p}"], found[f"products, {p}"]) for p in _PRECISIONS}
    endings = {"float32": "", "bfloat16": "_bf16"}
    return {f"{name}{endings[p]}": None if share is None else share * operations for p, share in shares.items()}


def _told(found: dict[str, Result], ratios: dict[str, float | None], unit: str) -> dict[str, Any]:
    return {"unit": f"{unit} a second", "rates": {n: r.summary() for n, r in found.items()}, "ratios": ratios}
