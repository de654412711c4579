"""Compute precision: bfloat16 on machines where it is faster, otherwise float32.

Weights stay in float32; matrix products are computed in bfloat16 (Micikevicius et al. 2018). On processors without
bfloat16 instructions it is many times slower, so ``auto`` does not try it there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # CPU flags: Intel and AMD, Intel, Arm
_MIN_SPEEDUP = 1.15  # a smaller gain may be noise
_ROUNDS = 3
_CPUINFO = Path("/proc/cpuinfo")


@contextmanager
def dtype_scope(precision: str) -> Iterator[None]:
    """Sets the compute precision of layers that are created inside the block.

    Args:
        precision: ``"float32"`` or ``"bfloat16"``.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class AutocastScope(keras.layers.Layer):
    """Calls a function that reads a layer's weights; they are cast to the layer's compute dtype, as in its own call.

    Args:
        layer: The layer.
        function: Takes and returns tensors, or tuples of tensors.
    """

    def __init__(self, layer: keras.layers.Layer, function: Callable[..., Any]) -> None:
        super().__init__(dtype=layer.dtype_policy, autocast=False, name="within")  # casts weights, not inputs
        self.function = function
        self.built = True

    def call(self, *args: Any) -> Any:
        """Returns the function's result."""
        return self.function(*args)


@cache
def has_bfloat16() -> bool:
    """Returns whether Keras uses an accelerator, or the processor has bfloat16 instructions."""
    if has_accelerator():
        return True
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return any(_FLAGS & set(names) for names in flags)


@cache
def faster_dtype() -> str:
    """Returns the precision in which matrix products of the size of a training step are faster on this machine."""
    if not has_bfloat16():
        return "float32"
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(np.float32) for shape in ((2048, 512), (512, 2048)))
    return faster(lambda dtype: _product(left, right, dtype))


def faster(make: Callable[[str], Callable[[], Any]]) -> str:
    """Returns ``"bfloat16"`` if it is clearly faster than float32, else ``"float32"``.

    Args:
        make: Takes the precision and returns the function to time. Each function is called once before timing.
    """
    functions = {dtype: make(dtype) for dtype in ("float32", "bfloat16")}
    for run in functions.values():
        run()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(_ROUNDS):
        for dtype, run in functions.items():
            started = time.perf_counter()
            run()
            best[dtype] = min(best[dtype], time.perf_counter() - started)
    return "bfloat16" if best["float32"] > _MIN_SPEEDUP * best["bfloat16"] else "float32"


def _product(left: np.ndarray, right: np.ndarray, dtype: str) -> Callable[[], Any]:
    a, b = (keras.ops.cast(keras.ops.convert_to_tensor(array), dtype) for array in (left, right))

    def run() -> Any:
        for _ in range(8):
            product = keras.ops.matmul(a, b)
        return keras.ops.convert_to_numpy(keras.ops.cast(product, "float32"))

    return run


def has_accelerator() -> bool:
    """Returns whether Keras computes on an accelerator."""
    return bool(accelerators())


def accelerators() -> list[str]:
    """Returns the accelerators that Keras uses, such as ``gpu:0``; empty if it computes on the processor."""
    devices = keras.distribution.list_devices() if keras.backend.backend() != "torch" else _torch_devices()
    return [device for device in devices if not device.lower().startswith("cpu")]


def _torch_devices() -> list[str]:
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
