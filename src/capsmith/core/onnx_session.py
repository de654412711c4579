"""Opens ONNX files with onnxruntime, on the CPU. Files may be damaged or foreign; nothing in them is executed as code.

The settings are for small models that are called often. Worker threads sleep while they wait: with the default, they
would keep the cores busy between two steps of a search, where NumPy needs them.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capsmith.core.errors import CapsmithError, CheckpointError, one_line
from capsmith.core.onnx_graph import fault_of

_TYPES = {"uint8": "tensor(uint8)", "int32": "tensor(int32)", "float32": "tensor(float)", "bool": "tensor(bool)"}
_ADVICE = "export the run again"
_FATAL = 4  # onnxruntime's log level


@dataclass(frozen=True)
class TensorSpec:
    """An input or output that a file must have.

    Attributes:
        name: Its name.
        dtype: ``uint8``, ``int32``, ``float32`` or ``bool``; None accepts each of them.
        shape: Its sizes; None for an axis whose size differs between calls. None in place of the shape accepts any
            shape with at least one axis.
    """

    name: str
    dtype: str | None = "float32"
    shape: tuple[int | None, ...] | None = None


class TensorInfo(NamedTuple):
    """What a file says about an input or output.

    Attributes:
        name: Its name.
        dtype: Its element type as onnxruntime writes it, such as ``float``, ``float16`` or ``int64``; the complete
            type of what is no tensor.
        shape: Its sizes; open axes have names, or None.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class OnnxSession:
    """An opened ONNX file.

    Args:
        session: The onnxruntime session.
        patience: Seconds that a computation may take; None for any time. A loop without end is legal in ONNX.

    Attributes:
        inputs: Names of the inputs, in order.
        outputs: Names of the outputs, in order.
    """

    def __init__(self, session: Any, patience: float | None = None) -> None:
        self._session, self._patience = session, patience
        self.inputs = [value.name for value in session.get_inputs()]
        self.outputs = [value.name for value in session.get_outputs()]

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Computes all outputs.

        Args:
            feeds: An array for each input, of its type.

        Raises:
            CheckpointError: The computation fails: the file is damaged.
        """
        try:
            with self._limited() as options:
                results: list[np.ndarray] = self._session.run(self.outputs, feeds, options)
        except Exception as error:  # onnxruntime has no common base class
            if "allocate" in str(error).lower():
                raise MemoryError(one_line(error)) from error
            if "terminate flag" in str(error):
                raise CheckpointError(f"the model was not computed within {self._patience:g} s") from error
            raise CheckpointError(f"the exported model cannot be computed: {one_line(error)[:200]}") from error
        return results

    @contextmanager
    def _limited(self) -> Iterator[Any]:
        """Yields options that stop a computation after ``patience`` seconds; None without a limit."""
        if self._patience is None:
            yield None
            return
        options = import_onnxruntime().RunOptions()
        timer = threading.Timer(self._patience, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            yield options
        finally:
            timer.cancel()

    @property
    def input_infos(self) -> list[TensorInfo]:
        """What the file says about its inputs, in order."""
        return [_info(value) for value in self._session.get_inputs()]

    @property
    def output_infos(self) -> list[TensorInfo]:
        """What the file says about its outputs, in order."""
        return [_info(value) for value in self._session.get_outputs()]

    @property
    def metadata(self) -> dict[str, str]:
        """The properties that the file's author wrote into it."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def input_shape(self, name: str) -> tuple[int | str | None, ...]:
        """Returns the shape of an input; open axes have names, or None."""
        return tuple(next(value.shape for value in self._session.get_inputs() if value.name == name))


def open_session(
    path: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    threads: int | None = None,
) -> OnnxSession:
    """Opens an ONNX file on the CPU.

    Weights that are stored as 8-bit integers are converted to float32 when the file is opened, so that small files
    compute as fast as large ones.

    Args:
        path: The file.
        inputs: All inputs that it must have, in any order.
        outputs: All outputs that it must have, in this order.
        threads: Number of threads; by default one for each core that this process may use.

    Raises:
        CheckpointError: The file is missing, damaged or foreign, keeps weights in other files, uses operators that
            onnxruntime does not have, or has other inputs or outputs.
        CapsmithError: onnxruntime is not installed.
    """
    session = _opened(path, threads, _ADVICE)
    _require(path, "input", session.get_inputs(), inputs, ordered=False)
    _require(path, "output", session.get_outputs(), outputs, ordered=True)
    return OnnxSession(session)


def open_foreign(path: Path, advice: str, patience: float, threads: int | None = None) -> OnnxSession:
    """Opens an ONNX file that another program made, whatever its inputs and outputs are; see ``open_session``.

    Args:
        path: The file.
        advice: What a user can do about a file that cannot be used, for messages.
        patience: Seconds that a computation may take.
        threads: As for ``open_session``.
    """
    return OnnxSession(_opened(path, threads, advice), patience)


def _opened(path: Path, threads: int | None, advice: str) -> Any:
    runtime = import_onnxruntime()
    if (fault := fault_of(_read(path, advice))) is not None:
        raise CheckpointError(f"{path} cannot be used: {fault}; {advice}")
    try:
        # by its path: from bytes, onnxruntime keeps a copy of all weights
        return runtime.InferenceSession(os.fspath(path), _options(runtime, threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class
        raise CheckpointError(f"{path} is damaged, or not an ONNX model: {one_line(error)[:200]}; {advice}") from error


def _info(value: Any) -> TensorInfo:
    shape = value.shape if isinstance(value.shape, list | tuple) else ()
    return TensorInfo(value.name, value.type.removeprefix("tensor(").removesuffix(")"), tuple(shape))


def default_threads() -> int:
    """Returns the number of cores that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _options(runtime: Any, threads: int | None) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = default_threads() if threads is None else threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL  # errors are exceptions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # fold, do not compute in 8 bits
    return options


def import_onnxruntime() -> Any:
    """Imports onnxruntime with its telemetry off.

    Its wheels for Linux write an identifier of the device into the home directory and send usage data, unless
    ``ORT_DISABLE_TELEMETRY`` is set before the first import.

    Raises:
        CapsmithError: onnxruntime is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise CapsmithError("exported captioners need onnxruntime: pip install onnxruntime") from error
    onnxruntime.set_default_logger_severity(_FATAL)  # errors are exceptions
    return onnxruntime


def _read(path: Path, advice: str) -> bytes:
    from capsmith.core.readers.regular_files import read_bytes

    try:
        return read_bytes(path)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}; {advice}") from error


def _require(path: Path, kind: str, found: Sequence[Any], specs: Sequence[TensorSpec], ordered: bool) -> None:
    names, expected = [value.name for value in found], [spec.name for spec in specs]
    if names != expected if ordered else sorted(names) != sorted(expected):
        raise CheckpointError(
            f"{path} has the {kind}s {_listed(names)}, but its manifest needs {_listed(expected)}; {_ADVICE}"
        )
    by_name = {value.name: value for value in found}
    for spec in specs:
        value = by_name[spec.name]
        types = [_TYPES[spec.dtype]] if spec.dtype is not None else list(_TYPES.values())
        if value.type not in types or not _fits(value.shape, spec.shape):
            raise CheckpointError(
                f"{path}: {kind} {spec.name!r:.60} is {value.type} {value.shape}, but its manifest needs "
                f"{spec.dtype or 'numbers'} {'with at least one axis' if spec.shape is None else spec.shape}; {_ADVICE}"
            )


def _fits(found: Sequence[Any], needed: Sequence[int | None] | None) -> bool:
    """Returns whether a shape of a file, whose open axes have names, is the needed one, whose open axes are None."""
    if needed is None:
        return len(found) >= 1 and not isinstance(found[0], int)
    pairs = list(zip(found, needed, strict=False))
    if len(found) != len(needed):
        return False
    return all(
        not isinstance(size, int) if need is None else size in (need, None) or isinstance(size, str)
        for size, need in pairs
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:12])
    return shown + (", …" if len(names) > 12 else "") if names else "none"
