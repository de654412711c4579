"""The formats of an export. Another format is one more row of ``FORMATS``."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import ConfigError, MissingExtraError
from capsmith.core.schema import nearest

QUANTISATIONS = {
    "int8": "weights as 8-bit integers: a quarter of the size",
    "float16": "weights stored in half precision, computed in float32: half the size, the same captions",
}

FLOAT32 = "float32"
"""Value of ``--quantise`` for no quantisation, where a format has another default."""


@dataclass(frozen=True)
class Format:
    """A format of an export.

    Attributes:
        name: Value of ``--format``, and ``kind`` in the manifest.
        description: One line for ``--help`` and the model card.
        suffix: Suffix of the files ``encoder``, ``start`` and ``step``; empty for folders.
        writer: ``"module:function"`` that writes a ``Graph`` to a path, with a quantisation or None.
        opener: ``"module:function"`` that opens a written file as a function of NumPy arrays to a list of them.
        quantisations: The keys of ``QUANTISATIONS`` that the writer takes.
        default_quantise: Quantisation if none is named; empty for none.
        preparer: ``"module:function"`` that fetches what the finisher needs before anything is loaded; or empty.
        finisher: ``"module:function"`` that adds files to the folder of a verified export, which it gets; or empty.
        packages: Packages that the writer and the opener import, by the extra that installs them.
    """

    name: str
    description: str
    suffix: str
    writer: str
    opener: str
    quantisations: tuple[str, ...] = ()
    default_quantise: str = ""
    preparer: str = ""
    finisher: str = ""
    packages: tuple[tuple[str, str], ...] = ()

    def load(self, target: str) -> Callable[..., Any]:
        """Imports one of the functions."""
        module, _, name = target.partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(f"capsmith.deploy.export.{module}"), name)
        return function

    def require_packages(self) -> None:
        """Checks that the packages of the format are installed, without importing them.

        Raises:
            MissingExtraError: One is not.
        """
        for package, extra in self.packages:
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, extra, f"export --format {self.name}")


_ONNX = (("onnx", "export"), ("tf2onnx", "export"), ("onnxruntime", "export"))
FORMATS = {
    spec.name: spec
    for spec in (
        Format(
            "onnx",
            "for onnxruntime: capsmith's own runtime, C++, C#, Java, browsers",
            ".onnx",
            "onnx_files:write_onnx",
            "onnx_files:open_onnx",
            tuple(QUANTISATIONS),
            packages=_ONNX,
        ),
        Format(
            "litert",
            "for LiteRT (TensorFlow Lite): Android, iOS, microcontrollers",
            ".tflite",
            "litert:write_litert",
            "litert:open_litert",
            tuple(QUANTISATIONS),
            packages=(("ai_edge_litert", "litert"),),
        ),
        Format(
            "savedmodel",
            "for TensorFlow and TensorFlow Serving",
            "",
            "savedmodel:write_savedmodel",
            "savedmodel:open_savedmodel",
        ),
        Format(
            "web",
            "for browsers: a static page that captions photos on the visitor's device",
            ".onnx",
            "onnx_files:write_onnx",
            "onnx_files:open_onnx",
            tuple(QUANTISATIONS),
            default_quantise="float16",  # half the download, the same speed
            preparer="onnxruntime_web:onnxruntime_web",
            finisher="web:write_web",
            packages=_ONNX,
        ),
    )
}


def find_format(name: str) -> Format:
    """Returns a format by name.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in FORMATS:
        raise ConfigError(f"--format: {name!r:.60} is not one of {', '.join(FORMATS)}{nearest(name, list(FORMATS))}")
    return FORMATS[name]


def require_quantisation(spec: Format, quantise: str | None) -> None:
    """Checks that a format has a quantisation.

    Raises:
        ConfigError: The quantisation is unknown, or the format does not have it.
    """
    if quantise in (None, FLOAT32):
        return
    if quantise not in QUANTISATIONS:
        known = [*QUANTISATIONS, FLOAT32]
        raise ConfigError(f"--quantise: {quantise!r:.60} is not one of {', '.join(known)}{nearest(quantise, known)}")
    if quantise not in spec.quantisations:
        having = ", ".join(other.name for other in FORMATS.values() if quantise in other.quantisations)
        raise ConfigError(f"--quantise {quantise}: the format {spec.name} is written in float32 only (try {having})")


def chosen_quantisation(spec: Format, quantise: str | None) -> str | None:
    """Returns the quantisation of an export; None for float32.

    Args:
        spec: The format.
        quantise: What was asked for; None asks for the format's default.
    """
    return None if quantise == FLOAT32 else quantise or spec.default_quantise or None


def default_output(run: Path, format_name: str, quantise: str | None) -> Path:
    """Returns the folder of an export that is not named: beside the run, with the format in its name."""
    return run.with_name("-".join(filter(None, (run.with_suffix("").name, format_name, quantise))))
