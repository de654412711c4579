"""Checks of the machine that capsmith runs on, with advice."""

import importlib.metadata
import importlib.util
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3
_PACKAGES = ("capsmith", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "pydantic", "nltk")
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")
_BACKENDS = {
    "tensorflow": "tensorflow[and-cuda]",
    "jax": "jax[cuda12]",
    "torch": "torch",
}  # the packages for NVIDIA GPUs
_EXTRAS = {  # optional packages: their use, and the extra that installs them
    "tokenizers": ("text.mode: subword", "text"),
    "pycocoevalcap": ("METEOR and SPICE", "coco"),
    "keras-hub": ("encoder.type: hub and --engine clip:", "hub"),
}
_THREADS = {"TF_NUM_INTRAOP_THREADS": "TensorFlow", "OMP_NUM_THREADS": "OpenMP (PyTorch, NumPy)"}
_NEEDED_MEMORY, _NEEDED_DISK = 3.0, 3.0  # GiB: an attention model on Flickr8k, and its features


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        result: The finding.
        advice: What to do; empty if nothing.
        broken: Whether this keeps capsmith from running.
    """

    name: str
    result: str
    advice: str = ""
    broken: bool = False

    def __str__(self) -> str:
        mark = "!!" if self.broken else "! " if self.advice else "ok"
        return f"{mark}  {self.name:<12} {self.result}" + (f"\n    {'':<12} → {self.advice}" if self.advice else "")


def run_checks(folder: Path, smoke_test: bool = True, load: Callable[[], None] | None = None) -> Iterator[Check]:
    """Yields the results of all checks, one by one.

    Args:
        folder: The folder of runs and features.
        smoke_test: Also train, save, load and caption with a small model on drawn images.
        load: Imports Keras without its messages.
    """
    yield _python()
    yield _versions()
    yield _cores()
    yield _threads()
    yield _memory()
    yield _disk(folder)
    yield _encoding()
    yield _java()
    yield from _extras()
    backend = _unusable_backend() or _backend(load)
    yield backend
    if not backend.broken:
        yield _accelerator()
        yield _precision()
        if smoke_test:
            yield _smoke_test()


def _python() -> Check:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 11)
    return Check("Python", text, "capsmith needs Python 3.11 or later" if old else "", broken=old)


def _versions() -> Check:
    versions = {name: version for name in _PACKAGES if (version := _version(name))}
    return Check("packages", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _unusable_backend() -> Check | None:
    """Returns a failed check if the chosen backend is unknown or not installed; else None."""
    chosen = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if chosen not in _BACKENDS:
        shown, known = ascii(chosen)[1:-1], ", ".join(_BACKENDS)
        return Check("Keras", f"KERAS_BACKEND={shown} is not known", f"set it to one of {known}, or unset it", True)
    if importlib.util.find_spec(chosen) is None:  # not by its version: it may be tensorflow-cpu
        return Check("Keras", f"{chosen} is not installed", f"pip install {chosen}, or set KERAS_BACKEND", True)
    return None


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cores() -> Check:
    total, allowed = os.cpu_count() or 1, usable_cores()
    if allowed >= total:
        return Check("processor", f"{_count(total, 'core')}, all available to this process")
    advice = "the limit comes from the container (docker --cpus), the batch job or taskset: request more"
    return Check("processor", f"{_count(total, 'core')}, of which {allowed:g} are available to this process", advice)


def _threads() -> Check:
    """Checks the number of compute threads: by default one for each core that libraries detect.

    Libraries ignore the limit of a container, and start more threads than can run at once.
    """
    allowed, detected = max(1, math.ceil(usable_cores())), _detected_cores()
    counts, too_low, too_high = [], [], []
    for name, library in _THREADS.items():
        text = os.environ.get(name, "")
        count = int(text) if text.isdecimal() and int(text) else detected
        counts.append(f"{count} for {library}" + (f" by {name}={ascii(text)[1:-1]}" if text else ""))
        too_low += [name] if count < allowed else []
        too_high += [f"{name}={allowed}"] if count > allowed else []
    advice = [f"unset {' and '.join(too_low)}: {_count(allowed, 'core')} are available"] if too_low else []
    advice += [f"set {' and '.join(too_high)}: no more cores are available"] if too_high else []
    return Check("threads", ", ".join(counts), "; ".join(advice))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _detected_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> float:
    """Returns the number of cores available to this process: a container may have fewer than the machine."""
    cores = float(_detected_cores())
    try:
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return cores if quota == "max" else min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        return cores


def _memory() -> Check:
    total = usable_memory()
    if total is None:
        return Check("memory", "unknown on this system")
    text = f"{total / GIB:.1f} GiB available"
    if total >= _NEEDED_MEMORY * GIB:
        return Check("memory", text)
    return Check("memory", text, "attention on grids needs about 3 GiB: use encoder.output: pooled, or a smaller batch")


def usable_memory() -> int | None:
    """Returns the free memory in bytes, within the container's limit; None if unknown."""
    candidates = []
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        candidates += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        pass
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        candidates.append(limit - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass
    return min(candidates) if candidates else None


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return Check(
            "disk",
            f"{folder} cannot be written ({error.strerror})",
            "change to a writable folder",
            broken=True,
        )
    text = f"{free / GIB:.1f} GiB free in {folder.resolve()}"
    advice = "grid features of Flickr8k take 1.3 GB per encoder: set features.cache"
    return Check("disk", text, advice if free < _NEEDED_DISK * GIB else "")


def _encoding() -> Check:
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "")
    advice = "" if encoding == "utf8" else "set PYTHONUTF8=1: otherwise captions in other scripts are shown as \\u…"
    return Check("terminal", f"encoding {encoding or 'unknown'}", advice)


def _java() -> Check:
    path = shutil.which("java")
    return Check("Java", path or "not installed: only METEOR and SPICE need it")


def _extras() -> Iterator[Check]:
    """Checks the optional packages."""
    for name, (use, extra) in _EXTRAS.items():
        version = _version(name)
        missing = f"{name} is not installed; {use} needs it: pip install 'capsmith[{extra}]'"
        yield Check("extras", f"{name} {version}, for {use}" if version else missing)


def _backend(load: Callable[[], None] | None) -> Check:
    started = time.perf_counter()
    try:
        if load is not None:
            load()
        import keras

        keras.ops.convert_to_numpy(keras.ops.matmul(keras.ops.ones((2, 2)), keras.ops.ones((2, 2))))
    except Exception as error:
        return Check("Keras", f"does not start: {error}".splitlines()[0], "install capsmith in a new environment", True)
    return Check("Keras", f"{keras.backend.backend()}, ready in {time.perf_counter() - started:.0f} s")


def _precision() -> Check:
    from capsmith.core.precision import faster_dtype, has_bfloat16

    if not has_bfloat16():
        return Check("precision", "float32: this processor has no bfloat16 instructions")
    return Check("precision", f"{faster_dtype()} is faster for training")


def _accelerator() -> Check:
    from capsmith.core.precision import accelerators

    if devices := accelerators():
        return Check("accelerator", ", ".join(devices))
    text = "none: Keras computes on the processor"
    if shutil.which("nvidia-smi") is None:
        return Check("accelerator", text)
    package = _BACKENDS[os.environ.get("KERAS_BACKEND") or "tensorflow"]
    return Check("accelerator", text, f"there seems to be an NVIDIA GPU: pip install -U '{package}'")


_ROUNDS = 4  # of the smoke test; one is nearly always enough


def _smoke_test() -> Check:
    from capsmith.training.smoke_run import smoke_train

    started = time.perf_counter()
    try:
        trial = smoke_train()
    except Exception as error:
        text = f"failed: {type(error).__name__}: {error}".splitlines()[0]
        return Check("smoke test", text, "install capsmith in a new environment; if it still fails, report this", True)
    text = (
        f"trained, saved, loaded and captioned in {time.perf_counter() - started:.0f} s: {trial.correct} of "
        f"{trial.held_out} held-out images correct, “{trial.caption}” for a red ball; {trial.captions_per_second:,.0f} "
        f"captions/s in training, {trial.images_per_second:,.0f} images/s captioned one by one"
    )
    if trial.passed:
        return Check("smoke test", text)
    if trial.rounds < _ROUNDS:  # it ran out of time
        return Check("smoke test", text, "too slow to learn in time: stop other programs, and try again")
    return Check("smoke test", text, "it does not learn: install capsmith in a new environment, or report this", True)
