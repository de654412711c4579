"""Products of 8-bit matrices, computed by onnxruntime with the instructions that the processor has."""

import numpy as np

from capsmith.core.onnx_session import import_onnxruntime

_UINT8, _INT8, _INT32 = 2, 3, 6  # of ONNX's TensorProto
_OPSET, _IR_VERSION = 10, 5


class IntegerProducts:
    """Multiplies matrices of 8-bit integers exactly. Thread-safe: each call runs on the thread that calls."""

    def __init__(self) -> None:
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = runtime.InferenceSession(_model(), options, providers=["CPUExecutionProvider"])

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Returns the product (m, n), int32, of matrices (m, d), uint8, and (d, n), int8."""
        product: np.ndarray = self._session.run(None, {"left": left, "right": right})[0]
        return product


def _model() -> bytes:
    """Returns an ONNX model of one node, ``MatMulInteger``, as a protocol buffer."""
    node = _field(1, b"left") + _field(1, b"right") + _field(2, b"product") + _field(4, b"MatMulInteger")
    graph = _field(1, node) + _field(2, b"products")
    graph += _field(11, _tensor(b"left", _UINT8, b"m", b"d")) + _field(11, _tensor(b"right", _INT8, b"d", b"n"))
    graph += _field(12, _tensor(b"product", _INT32, b"m", b"n"))
    opset = _field(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, opset)


def _tensor(name: bytes, kind: int, *axes: bytes) -> bytes:
    shape = b"".join(_field(1, _field(2, axis)) for axis in axes)
    return _field(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    more = b""
    while value > 127:
        more += bytes([value & 127 | 128])
        value >>= 7
    return more + bytes([value])
