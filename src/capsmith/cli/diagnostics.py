"""Looks at the machine that capsmith is to run on, and says what to do about what it finds."""

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
_BACKENDS = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda12]", "torch": "torch"}  # what runs on NVIDIA cards
_EXTRAS = {  # packages that are not needed: for what, and the extra that brings them
    "tokenizers": ("text.mode: subword", "text"),
    "pycocoevalcap": ("METEOR and SPICE", "coco"),
}
_THREADS = {"TF_NUM_INTRAOP_THREADS": "TensorFlow", "OMP_NUM_THREADS": "OpenMP (PyTorch, NumPy)"}
_NEEDED_MEMORY, _NEEDED_DISK = 3.0, 3.0  # GiB: an attention model on Flickr8k, and its features


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        found: What it is.
        advice: What to do; empty when nothing is to be done.
        broken: Whether capsmith cannot work so.
    """

    what: str
    found: str
    advice: str = ""
    broken: bool = False

    def __str__(self) -> str:
        mark = "!!" if self.broken else "! " if self.advice else "ok"
        return f"{mark}  {self.what:<12} {self.found}" + (f"\n    {'':<12} → {self.advice}" if self.advice else "")


def examine(folder: Path, trial: bool = True, load: Callable[[], None] | None = None) -> Iterator[Check]:
    """Yields what is found, one thing after another.

    Args:
        folder: Where runs and features would be written.
        trial: Also train, save, load and caption on small drawn images.
        load: Imports Keras, more quietly than by itself.
    """
    yield _python()
    yield _versions()
    yield _cores()
    yield _threads()
    yield _memory()
    yield _disk(folder)
    yield _text()
    yield _java()
    yield from _extras()
    backend = _chosen() or _backend(load)
    yield backend
    if not backend.broken:
        yield _accelerator()
        yield _precision()
        if trial:
            yield _trial()


def _python() -> Check:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 11)
    return Check("Python", text, "capsmith needs Python 3.11 or later" if old else "", broken=old)


def _versions() -> Check:
    found = {name: version for name in _PACKAGES if (version := _version(name))}
    return Check("packages", ", ".join(f"{name} {version}" for name, version in found.items()))


def _chosen() -> Check | None:
    """Returns what is wrong with the choice of a backend; None when it is there."""
    wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if wanted not in _BACKENDS:
        shown, known = ascii(wanted)[1:-1], ", ".join(_BACKENDS)
        return Check("Keras", f"KERAS_BACKEND={shown} is not known", f"set it to one of {known}, or unset it", True)
    if importlib.util.find_spec(wanted) is None:  # not by its version: there is tensorflow-cpu, too
        return Check("Keras", f"{wanted} is not installed", f"pip install {wanted}, or set KERAS_BACKEND", True)
    return None


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cores() -> Check:
    there, allowed = os.cpu_count() or 1, usable_cores()
    if allowed >= there:
        return Check("processor", f"{_some(there, 'core')}, all of which this process may use")
    limit = "the container's limit (docker --cpus), the batch job's, or taskset holds it to them: ask for more"
    return Check("processor", f"{_some(there, 'core')}, of which this process may use {allowed:g}", limit)


def _threads() -> Check:
    """Says how many threads calculate: one for each core that is seen, unless a setting says other.

    Libraries do not see a container's limit, and start threads that then wait for each other.
    """
    allowed, seen = max(1, math.ceil(usable_cores())), _seen_cores()
    shares, few, many = [], [], []
    for name, whose in _THREADS.items():
        text = os.environ.get(name, "")
        count = int(text) if text.isdecimal() and int(text) else seen
        shares.append(f"{count} for {whose}" + (f" by {name}={ascii(text)[1:-1]}" if text else ""))
        few += [name] if count < allowed else []
        many += [f"{name}={allowed}"] if count > allowed else []
    advice = [f"unset {' and '.join(few)}: {_some(allowed, 'core')} may calculate"] if few else []
    advice += [f"set {' and '.join(many)}: no more cores may calculate"] if many else []
    return Check("threads", ", ".join(shares), "; ".join(advice))


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _seen_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> float:
    """Returns how many cores this process may use: a container may have fewer than the machine."""
    cores = float(_seen_cores())
    try:
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        return cores if quota == "max" else min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        return cores


def _memory() -> Check:
    total = usable_memory()
    if total is None:
        return Check("memory", "cannot be told on this system")
    text = f"{total / GIB:.1f} GiB may be used"
    if total >= _NEEDED_MEMORY * GIB:
        return Check("memory", text)
    return Check("memory", text, "attention on grids needs about 3 GiB: use encoder.output: pooled, or a smaller batch")


def usable_memory() -> int | None:
    """Returns the bytes of memory that are free, within the container's limit; None where it cannot be told."""
    found = []
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        pass
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass
    return min(found) if found else None


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return Check("disk", f"{folder} cannot be written ({error.strerror})", "go to a folder of yours", broken=True)
    text = f"{free / GIB:.1f} GiB free in {folder.resolve()}"
    few = free < _NEEDED_DISK * GIB
    return Check("disk", text, "features of Flickr8k's grids take 1.3 GB an encoder: set features.cache" if few else "")


def _text() -> Check:
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "")
    advice = "" if encoding == "utf8" else "set PYTHONUTF8=1, or captions in other scripts are shown as \\u…"
    return Check("terminal", f"writes {encoding or 'nothing known'}", advice)


def _java() -> Check:
    path = shutil.which("java")
    return Check("Java", path or "not there: METEOR and SPICE need it, nothing else does")


def _extras() -> Iterator[Check]:
    """Names the packages that only some things need; none of them has to be there."""
    for name, (use, extra) in _EXTRAS.items():
        version = _version(name)
        missing = f"{name} is not there; {use} needs it: pip install 'capsmith[{extra}]'"
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
        return Check("precision", "float32: this processor has no instructions for bfloat16")
    return Check("precision", f"{faster_dtype()} is the faster one for training")


def _accelerator() -> Check:
    from capsmith.core.precision import accelerators

    if found := accelerators():
        return Check("accelerator", ", ".join(found))
    text = "none that Keras sees: it calculates on the processor"
    if shutil.which("nvidia-smi") is None:
        return Check("accelerator", text)
    package = _BACKENDS[os.environ.get("KERAS_BACKEND") or "tensorflow"]
    return Check("accelerator", text, f"there seems to be an NVIDIA card: pip install -U '{package}'")


_ROUNDS = 4  # of the trial, each as long as what nearly always is enough


def _trial() -> Check:
    from capsmith.training.smoke_run import smoke_train

    started = time.perf_counter()
    try:
        trial = smoke_train()
    except Exception as error:
        text = f"failed: {type(error).__name__}: {error}".splitlines()[0]
        return Check("trial", text, "install capsmith in a new environment; if it still fails, report this", True)
    text = (
        f"trained, saved, loaded and captioned in {time.perf_counter() - started:.0f} s: {trial.correct} of "
        f"{trial.held_out} held-out images right, “{trial.caption}” of a red ball; {trial.captions_per_second:,.0f} "
        f"captions/s in training, {trial.images_per_second:,.0f} images/s captioned one by one"
    )
    if trial.passed:
        return Check("trial", text)
    if trial.rounds < _ROUNDS:  # there was no time to learn more
        return Check("trial", text, "too slow to learn them in time: end what else is running, and try again")
    return Check("trial", text, "it does not learn: install capsmith in a new environment, or report this", True)


def healthy(
    say: Callable[[str], None], folder: Path, trial: bool = True, load: Callable[[], None] | None = None
) -> bool:
    """Says everything that ``examine`` finds; returns whether capsmith can work here."""
    fine = True
    for finding in examine(folder, trial, load):
        say(str(finding))
        fine &= not finding.broken
    return fine
