"""Quantises the ONNX files of a model.

``float16`` and ``int8`` change how weights are stored, not how they are computed with: see ``onnx_weights``. Products
of 8-bit activations would be two to three times as fast, but with them a caption depends on the processor (without
VNNI instructions sums saturate), dynamic ranges make it depend on the other images of its batch, and calibrated
ranges cost a captioner on EfficientNet-Lite2 1.0 % of its CIDEr, on MobileNetV2 5 %.
"""

from pathlib import Path

import onnx

from capsmith.deploy.export.graphs import MemberGraphs
from capsmith.deploy.export.onnx_weights import store_float16, store_int8

_STORE = {"float16": store_float16, "int8": store_int8}


def quantise_member(folder: Path, graphs: MemberGraphs, quantise: str) -> None:
    """Quantises the files of one model in place.

    Args:
        folder: Their folder.
        graphs: The graphs that were written.
        quantise: ``int8`` or ``float16``.
    """
    for graph in graphs.all:
        path = folder / f"{graph.name}.onnx"
        path.write_bytes(_STORE[quantise](onnx.load(path)).SerializeToString())
