"""The parts of the benchmark: who takes turns with whom, and which ratios are drawn from it."""

import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks import startup
from benchmarks.speed.contest import Entrant, Result, contest, ratio
from benchmarks.speed.corpus import EACH, LENGTHS, VOCABULARY
from benchmarks.speed.encoders import likeness
from benchmarks.speed.growth import measure
from benchmarks.speed.latency import cold
from benchmarks.speed.profile import measure as profiled
from benchmarks.speed.ways import CHANNELS, UNITS, D

from capsmith.cli import VERBS

Say = Callable[[str], None]
WORDS = sum(length * share for length, share in LENGTHS.items()) / sum(LENGTHS.values()) + 1
"""Words to be said of a caption, its end counted."""
_WAYS, _TORCH, _ENCODERS, _DECODERS, _LATENCY = (
    f"benchmarks.speed.{module}" for module in ("ways", "torch_ways", "encoders", "decoders", "latency")
)
_PRECISIONS = ("float32", "bfloat16")


def training(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """Training the merge model, and capsmith's other decoders."""
    few, many = max(2, round(6 * share)), max(2, round(12 * share))
    ours = (("merge", many), ("inject", many), ("attention", few), ("aoa", few))
    entrants = [
        *(Entrant(f"products, {p}", f"{_WAYS}:products", {"precision": p}) for p in _PRECISIONS),
        *(
            Entrant(f"capsmith {kind}, {p}", f"{_WAYS}:capsmith", {"decoder": kind, "precision": p, "batches": batches})
            for kind, batches in ours
            for p in _PRECISIONS[: 1 + (kind != "inject")]
        ),
        Entrant("plain Keras", f"{_WAYS}:plain_keras", {"batches": few}),
        *(
            Entrant(
                f"PyTorch {kind}, {p}", f"{_TORCH}:{kind}", {"batches": max(1, batches // 3), "precision": p}, "torch"
            )
            for kind, batches in (("merge", many), ("attention", few))
            for p in _PRECISIONS
        ),
        Entrant("notebook", f"{_WAYS}:notebook", {"pictures": max(2, round(10 * share))}),
    ]
    found = contest(entrants, rounds, say)
    best = _best(found, "capsmith merge")
    ratios = {
        "train_vs_notebook": ratio(best, found["notebook"]),
        "train_vs_keras": ratio(best, found["plain Keras"]),
        "train_vs_torch": ratio(best, _best(found, "PyTorch merge")),
        "attention_vs_torch": ratio(_best(found, "capsmith attention"), _best(found, "PyTorch attention")),
        **_shares(found, "train_share_of_peak", "capsmith merge", merge_operations()),
        **_shares(found, "attention_share_of_peak", "capsmith aoa", attention_operations()),
    }
    return _told(found, ratios, "captions")


def extraction(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """From JPEG files to stored features."""
    with tempfile.TemporaryDirectory() as folder:
        count = max(32, 32 * round(4 * share))
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
        few = {"application": "MobileNetV2", "folder": folder, "count": max(8, round(24 * share))}
        found = contest([*entrants, Entrant("notebook", f"{_ENCODERS}:notebook", few)], rounds, say)
    ratios = {
        "extract_share_of_cnn": ratio(found["capsmith resnet50"], found["resnet50 alone"]),
        "extract_share_of_cnn_mobilenet_v2": ratio(found["capsmith mobilenet_v2"], found["mobilenet_v2 alone"]),
        "extract_vs_notebook": ratio(found["capsmith mobilenet_v2"], found["notebook"]),
        "extract_bf16_gain": ratio(found["capsmith resnet50, bfloat16"], found["capsmith resnet50"]),
        **likeness("resnet50"),
    }
    return _told(found, ratios, "pictures")


def decoding(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """From features to captions."""
    entrants = [
        Entrant(
            f"capsmith {kind}, {search if search == 'greedy' else f'beam {beams}'}, batch {batch}",
            f"{_DECODERS}:capsmith",
            {"decoder": kind, "search": search, "beams": beams, "batch": batch, "rounds": max(1, round(times * share))},
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
    entrants.append(Entrant("notebook, greedy", f"{_DECODERS}:notebook", {"captions": max(1, round(3 * share))}))
    found = contest(entrants, rounds, say)
    loop = found["notebook, greedy"]
    ratios = {
        "decode_beam5_per_second": found["capsmith merge, beam 5, batch 256"].rate,
        "decode_vs_notebook": ratio(found["capsmith merge, beam 5, batch 256"], loop),
        "decode_one_vs_notebook": ratio(found["capsmith merge, greedy, batch 1"], loop),
    }
    return _told(found, ratios, "captions")


def latency(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """One picture, from its file to its caption; and how long the command line takes to answer."""
    times = max(1, round(10 * share))
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
    found = contest(entrants, rounds, say)
    names = ("latency_vs_cnn", "latency_vs_cnn_mobilenet_v2", "latency_vs_cnn_attention")
    ratios = {
        name: ratio(found[f"CNN alone, {encoder} {decoder}"], found[f"caption, {encoder} {decoder}"])
        for name, (encoder, decoder) in zip(names, models, strict=True)
    }
    verbs = [
        ("--help",),
        ("list", "decoders"),
        ("validate", "--config", "flickr8k.yaml"),
        *((v, "--help") for v in VERBS),
    ]
    answers = {" ".join(verb): startup.seconds(*verb) for verb in verbs}
    answers["caption RUN PICTURE"] = cold("mobilenet_v2", "merge")
    return _told(found, ratios, "pictures") | {"answers_after_seconds": answers}


def growing(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """Memory and time of each stage with more and more pictures."""
    sizes = {"train": (1000, 8000, 64000), "extract": (64, 512), "decode": (512, 2048)}
    rows: dict[str, dict[str, Any]] = {}
    for stage, counts in sizes.items():
        for count in counts:
            rows.setdefault(stage, {})[str(count)] = found = measure(stage, count)
            say(f"{stage}, {count:,} pictures: {found['gigabytes']:.2f} GB, {found['seconds']:.4f} s each")
    return {"stages": rows, "ratios": {"train_memory_gb": rows["train"]["8000"]["gigabytes"]}}


def profile(rounds: int, share: float, say: Say) -> dict[str, Any]:
    """Where the time of training steps goes."""
    which = (("merge", "float32"), ("aoa", "float32"), ("aoa", "bfloat16"))
    models = {f"{kind}, {p}": profiled(kind, p) for kind, p in which}
    for name, shares in models.items():
        say(f"{name}: " + ", ".join(f"{kind} {value:.0%}" for kind, value in shares.items()))
    return {"shares": models, "ratios": {}}


PARTS: dict[str, Callable[[int, float, Say], dict[str, Any]]] = {
    "training": training,
    "extraction": extraction,
    "decoding": decoding,
    "latency": latency,
    "growth": growing,
    "profile": profile,
}


def merge_operations() -> float:
    """Returns the floating-point operations of products to learn from one caption, padding not counted."""
    word = CHANNELS * 4 * UNITS + UNITS * 4 * UNITS + UNITS * UNITS + UNITS * VOCABULARY
    return 3 * 2 * (WORDS * word + D * UNITS / EACH)


def attention_operations() -> float:
    """Returns the same for ``aoa`` with 512 units, tied embeddings and 64 regions, which five captions share."""
    word = CHANNELS * 4 * UNITS + UNITS * 4 * UNITS + UNITS * UNITS + 2 * 64 * UNITS + 2 * UNITS * 2 * UNITS
    word += UNITS * CHANNELS + CHANNELS * VOCABULARY
    picture = 64 * UNITS * (D * 2 / 3 + 2 * UNITS) + UNITS * 4 * UNITS  # nothing learns from features' gradients
    return 3 * 2 * (WORDS * word + picture / EACH)


def _best(found: dict[str, Result], name: str) -> Result:
    """Returns the result in the faster precision."""
    return max((found[f"{name}, {p}"] for p in _PRECISIONS), key=lambda result: result.rate if result.rates else 0.0)


def _shares(found: dict[str, Result], name: str, way: str, operations: float) -> dict[str, float | None]:
    """Returns a way's share of the machine's rate of products, in each precision against that precision's own."""
    shares = {p: ratio(found[f"{way}, {p}"], found[f"products, {p}"]) for p in _PRECISIONS}
    endings = {"float32": "", "bfloat16": "_bf16"}
    return {f"{name}{endings[p]}": None if share is None else share * operations for p, share in shares.items()}


def _told(found: dict[str, Result], ratios: dict[str, float | None], unit: str) -> dict[str, Any]:
    return {"unit": f"{unit} a second", "rates": {n: r.summary() for n, r in found.items()}, "ratios": ratios}
