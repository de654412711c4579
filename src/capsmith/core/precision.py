"""Which precision to calculate in: bfloat16 where the machine has it and is faster with it, else float32.

Weights stay in float32 either way; what is calculated with them is rounded to bfloat16 (Micikevicius et al. 2018). On
processors without instructions for it bfloat16 is many times slower, so ``auto`` does not even try it there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of Intel, AMD; of Arm
_GAIN = 1.15  # what is faster by less is as likely noise
_ROUNDS = 3
_CPUINFO = Path("/proc/cpuinfo")


@contextmanager
def dtype_scope(precision: str) -> Iterator[None]:
    """Lets layers that are made meanwhile calculate in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class AutocastScope(keras.layers.Layer):
    """A function of a layer's weights that reads them in the precision the layer calculates in, as its call does.

    Args:
        layer: The layer.
        function: Takes and returns tensors, or tuples of them.
    """

    def __init__(self, layer: keras.layers.Layer, function: Callable[..., Any]) -> None:
        super().__init__(dtype=layer.dtype_policy, autocast=False, name="within")  # casts weights alone
        self.function = function
        self.built = True

    def call(self, *args: Any) -> Any:
        """Returns what the function returns."""
        return self.function(*args)


@cache
def has_bfloat16() -> bool:
    """Returns whether this machine has instructions for bfloat16: an accelerator that Keras uses, or the processor."""
    if accelerated():
        return True
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    found = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return any(_FLAGS & set(flags) for flags in found)


@cache
def faster_dtype() -> str:
    """Returns the precision in which products of a training's size are faster here."""
    if not has_bfloat16():
        return "float32"
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=shape).astype(np.float32) for shape in ((2048, 512), (512, 2048)))
    return faster(lambda dtype: _product(one, other, dtype))


def faster(make: Callable[[str], Callable[[], Any]]) -> str:
    """Returns ``"bfloat16"`` when what is made in it runs clearly faster than in float32.

    Args:
        make: Takes the precision and returns what is to be timed; called first for both, then turn by turn.
    """
    ways = {dtype: make(dtype) for dtype in ("float32", "bfloat16")}
    for run in ways.values():
        run()
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(_ROUNDS):
        for dtype, run in ways.items():
            started = time.perf_counter()
            run()
            best[dtype] = min(best[dtype], time.perf_counter() - started)
    return "bfloat16" if best["float32"] > _GAIN * best["bfloat16"] else "float32"


def _product(one: np.ndarray, other: np.ndarray, dtype: str) -> Callable[[], Any]:
    a, b = (keras.ops.cast(keras.ops.convert_to_tensor(array), dtype) for array in (one, other))

    def run() -> Any:
        for _ in range(8):
            found = keras.ops.matmul(a, b)
        return keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))

    return run


def accelerated() -> bool:
    """Returns whether Keras calculates on an accelerator."""
    return bool(accelerators())


def accelerators() -> list[str]:
    """Returns the accelerators that Keras sees, such as ``gpu:0``; none where it calculates on the processor."""
    devices = keras.distribution.list_devices() if keras.backend.backend() != "torch" else _torch_devices()
    return [device for device in devices if not device.lower().startswith("cpu")]


def _torch_devices() -> list[str]:
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
