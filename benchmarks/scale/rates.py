"""Measures what the cost model of docs/scale.md needs: CPU time and bytes of an image, start-up and memory of a worker.

    python -m benchmarks.scale.rates IMAGES WEIGHTS --photos PHOTOS [--embedding RUN] [--captioner RUN] [--only NAMES]

IMAGES is a folder of images, PHOTOS one of photographs of ordinary size, WEIGHTS one with the encoders' weights; each
measurement is a process of its own, on one core and on two. A rate is images per second of a core: CPU time, not
wall time, so other processes disturb it little. The result is merged into results/scale/rates.json.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tools import paths

FILE = paths.RESULTS / "scale" / "rates.json"
_WARM = 32  # images before the clock starts
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_PLANNED = 500_000  # made-up names of the measurement of planning
ENCODERS: dict[str, dict[str, Any]] = {
    "mobilenet_v2": {"type": "mobilenet_v2", "weights": "mobilenet_v2_1.0_224_notop.weights.h5"},
    "efficientnet_lite2": {"type": "custom", "weights": "efficientnet_lite2_notop.keras", "preprocess": "lite"},
    "inception_v3": {"type": "inception_v3", "weights": "inception_v3_to_mixed8.weights.h5", "layer": "mixed8"},
    "resnet50": {"type": "resnet50", "weights": "none"},
}
"""Encoders by name; a path of weights is below WEIGHTS. The rate of a CNN does not depend on its weights."""


def main() -> None:
    """Measures, and merges the result into the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--embedding", type=Path, help="the run of a joint embedding, to index")
    parser.add_argument("--captioner", type=Path, help="the run of a captioner, to compare its checkpoint with exports")
    parser.add_argument("--count", type=int, default=192, help="images of a measurement")
    parser.add_argument("--only", help="names of measurements, separated by commas")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # in the process that measures
    args = parser.parse_args()
    if args.one:
        print(json.dumps(_measured(args.one, args)))
        return
    names = [*(f"extract.{name}" for name in ENCODERS), "caption.starter", "plan"]
    names += ["decode.photo"] * bool(args.photos) + ["index"] * bool(args.embedding)
    names += ["caption.checkpoint"] * bool(args.captioner)
    for name in args.only.split(",") if args.only else names:
        found = {f"cores_{cores}": _run(name, cores) for cores in ((1,) if name == "plan" else (1, 2))}
        print(name, json.dumps(found), flush=True)
        _merge(name, found)


def _run(name: str, cores: int) -> dict[str, float]:
    """Measures in a process of its own."""
    environment = os.environ | dict.fromkeys(_THREADS, str(cores)) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.scale.rates", *sys.argv[1:], "--one", name]
    limit = ["taskset", "--cpu-list", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))]
    done = subprocess.run([*limit, *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _merge(name: str, found: dict[str, Any]) -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    kept |= {
        "command": "python -m benchmarks.scale.rates IMAGES WEIGHTS --photos PHOTOS --embedding RUN --captioner RUN",
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "date": str(date.today()),
        "note": "images per second of CPU time; measured while other processes shared the two cores",
    }
    kept.setdefault("rates", {})[name] = found
    kept["rates"] = dict(sorted(kept["rates"].items()))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


# --- measurements --------------------------------------------------------------------------------------------------


def _measured(name: str, args: argparse.Namespace) -> dict[str, float]:
    kind, _, what = name.partition(".")
    files = sorted(args.images.glob("*.jpg"))[: _WARM + args.count]
    if kind == "plan":
        return _plan()
    if kind == "decode":
        return _timed(lambda: _decode, sorted(args.photos.glob("*.jpg")) * 40, pixels=True)
    if kind == "extract":
        return _extract(ENCODERS[what], args.weights, files)
    return _job(kind, what, args, files)


def _timed(
    load: Callable[[], Callable[[Sequence[Path]], float]], files: Sequence[Path], **more: Any
) -> dict[str, float]:
    """Measures a function that computes some files and returns the bytes of its result."""
    began = time.process_time()
    compute = load()
    compute(files[:_WARM])
    start = time.process_time() - began
    began, wall = time.process_time(), time.monotonic()
    size = compute(files[_WARM:])
    used, count = time.process_time() - began, len(files) - _WARM
    found = {
        "images_per_core_second": round(count / used, 2),
        "images_per_second": round(count / (time.monotonic() - wall), 2),
        "start_core_seconds": round(start, 2),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "bytes_out": round(size / count, 1),
        "bytes_in": round(sum(file.stat().st_size for file in files) / len(files)),
        "load": round(os.getloadavg()[0], 1),
    }
    if more.get("pixels"):
        found["megapixels"] = round(sum(_megapixels(file) for file in set(files)) / len(set(files)), 3)
    return found


def _megapixels(file: Path) -> float:
    from PIL import Image

    with Image.open(file) as image:
        return image.width * image.height / 1e6


def _decode(files: Sequence[Path]) -> float:
    from capsmith.vision.loading import load_images

    return sum(pixels.nbytes for _, pixels in load_images(enumerate(files), (224, 224), 1) if hasattr(pixels, "nbytes"))


def _extract(settings: dict[str, Any], weights: Path, files: Sequence[Path]) -> dict[str, float]:
    import numpy as np

    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.loading import load_images

    settings = settings | {"output": "grid"}
    if settings["weights"] != "none":
        settings["weights"] = str(weights / settings["weights"])

    def load() -> Callable[[Sequence[Path]], float]:
        from capsmith.vision.encoder import build_encoder

        encoder = build_encoder(EncoderConfig(**settings))

        def compute(files: Sequence[Path]) -> float:
            size, batch = 0.0, list[Any]()
            for _, pixels in load_images(enumerate(files), encoder.image_size, 1):
                batch.append(pixels)
                if len(batch) == _WARM:
                    size += encoder.encode(np.stack(batch)).astype(np.float16).nbytes
                    batch = []
            return size

        return compute

    assert len(files) % _WARM == 0, "IMAGES has too few images"
    return _timed(load, files)


def _job(kind: str, what: str, args: argparse.Namespace, files: Sequence[Path]) -> dict[str, float]:
    """Measures the worker of a sharded job, from files to the shard."""
    from capsmith.deploy.batch.inputs import NamedImage
    from capsmith.deploy.batch.places import Place
    from capsmith.deploy.batch.shards import write_shard

    threads = int(os.environ["OMP_NUM_THREADS"])

    def load() -> Callable[[Sequence[Path]], float]:
        work: Any = _index_work(args) if kind == "index" else _caption_work(what, args)
        worker = work.open(threads)

        def compute(files: Sequence[Path]) -> float:
            with tempfile.TemporaryDirectory() as folder:
                named = (NamedImage(file.name, file.stat().st_size, file.read_bytes, file) for file in files)
                write_shard(Place(folder), 0, worker(named))
                return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())

        return compute

    return _timed(load, files)


def _caption_work(what: str, args: argparse.Namespace) -> Any:
    from capsmith.deploy.batch.captions import CaptionWork
    from capsmith.deploy.named_captioner import CaptionerName

    model = str(args.captioner) if what == "checkpoint" else "starter"
    return CaptionWork.of(CaptionerName((model,)).find())


def _index_work(args: argparse.Namespace) -> Any:
    from capsmith.deploy.batch.vectors import VectorWork
    from capsmith.models.embedders import load_embedder

    return VectorWork.of(args.images, load_embedder([args.embedding], None), [args.embedding], None)


def _plan() -> dict[str, float]:
    from capsmith.deploy.batch.places import Place
    from capsmith.deploy.batch.plan import Plan, Unit

    def units() -> Iterator[Unit]:
        for number in range(_PLANNED):
            yield Unit(f"part-{number // 10_000:05d}/{number:09d}.jpg", size=120_000)

    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        Plan.make(Place(folder), "s3://images", "images", units())
        used = time.process_time() - began
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    memory = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "images_per_core_second": round(_PLANNED / used),
        "bytes_out": round(size / _PLANNED, 1),
        "memory_mb": memory,
    }


if __name__ == "__main__":
    main()
