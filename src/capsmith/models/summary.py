"""Tables of the layers of a model: shapes, parameters and bytes, including those of the encoder.

P images · L regions · D channels · V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.config import Config
from capsmith.models.keras_member import KerasMember
from capsmith.vision.file_encoder import FileEncoder

_LAST = ("to_embedding", "output")  # output layers, listed last


@dataclass(frozen=True)
class Row:
    """One layer, or a complete encoder.

    Attributes:
        part: ``encoder`` or ``decoder``.
        name: Name of the layer; ``outer/inner`` for a layer within another one.
        kind: Its type.
        shapes: Shapes of its weights, or of its input and output.
        parameters: Number of parameters.
        bytes: Their size in memory.
        trained: Whether they were trained.
    """

    part: str
    name: str
    kind: str
    shapes: str
    parameters: int
    bytes: int
    trained: bool


def summary(member: KerasMember, layers: bool = False) -> str:
    """Returns a table of the parts of a model.

    Args:
        member: The model, with or without its encoder.
        layers: List the encoder's layers one by one.
    """
    encoder, decoder = encoder_rows(member, layers), decoder_rows(member)
    lines = [headline(member), ""]
    cells: list[tuple[str, ...]] = [("layer", "type", "weights or shapes", "parameters", "bytes")]
    cells += [_cells(row) for row in (*encoder, *decoder)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for number, row in enumerate(cells):
        left = "  ".join(text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True))
        lines.append(f"{left}  {row[3].rjust(widths[3])}  {row[4].rjust(widths[4])}".rstrip())
        if number in (0, len(encoder), len(cells) - 1):
            lines.append("-" * (sum(widths) + 8))
    lines += _totals(member, encoder, decoder)
    return "\n".join(lines)


def headline(member: KerasMember) -> str:
    """Returns the path from image to words in one line."""
    config, decoder = member.config, member.config.decoder
    return (
        f"{decoder.type} captioner: {encoder_name(config)} → {_shape(member.feature_shape)} → "
        f"{decoder.cell.upper()} of {decoder.units} → {len(member.vocabulary):,} words"
    )


def encoder_name(config: Config) -> str:
    """Returns the names of the encoders, each with the layer at which it is cut, unless that is the last one."""
    return " + ".join(encoder.title + (f" ({encoder.layer})" if encoder.layer else "") for encoder in config.encoders)


def encoder_rows(member: KerasMember, layers: bool = False) -> list[Row]:
    """Returns a row for each encoder, and with ``layers`` for each weighted layer; none without an encoder."""
    if member.encoder is None:
        return []
    rows = []
    for config, part in zip(member.config.encoders, member.encoder.parts, strict=True):
        shapes = f"{_shape((*part.image_size, 3))} → {_shape(part.feature_shape)}"
        if isinstance(part, FileEncoder):
            rows.append(_row("encoder", config.title, "ONNX file, frozen", [], shapes))
            continue
        how = "trained" if config.trainable else "adapted, frozen" if config.pretrain_on_words else "frozen"
        kind = "CNN" if config.preset is None else "transformer"
        rows.append(_row("encoder", config.title, f"{kind}, {how}", part.core.weights, shapes))
        if layers:
            weighted = [layer for layer in part.core.layers if layer.weights]
            rows += [
                _row("encoder layer", f"  {layer.name}", type(layer).__name__, layer.weights, _output(layer))
                for layer in weighted
            ]
    return rows


def decoder_rows(member: KerasMember) -> list[Row]:
    """Returns a row for each layer of the decoder with weights, in the order of their creation."""
    decoder = member.model.decoder
    counted: set[int] = set()
    rows = [_row("decoder", name, type(layer).__name__, own) for name, layer, own in _owners(decoder, "", counted)]
    if rest := [weight for weight in decoder.weights if id(weight) not in counted]:
        rows.append(_row("decoder", "output", "", rest))
    return sorted(rows, key=lambda row: _LAST.index(row.name) if row.name in _LAST else -1)


def size(count: float) -> str:
    """Formats a number of bytes; kB and MB are 10^3 and 10^6."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count:.0f} B"


def _owners(
    layer: keras.layers.Layer, prefix: str, counted: set[int]
) -> Iterator[tuple[str, keras.layers.Layer, list[Any]]]:
    """Yields the layers within a layer, each with the weights that belong to none of its inner layers."""
    for inner in _within(layer):
        if id(inner) in counted or not inner.weights:
            continue
        counted.add(id(inner))
        name = prefix + inner.name
        parts = [] if hasattr(inner, "gates") else list(_owners(inner, f"{name}/", counted))
        yield from parts
        own = [weight for weight in inner.weights if id(weight) not in counted]
        counted.update(id(weight) for weight in own)
        if own:
            yield name, inner, own


def _within(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    for value in list(vars(layer).values()):
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, keras.layers.Layer):
                yield item


def _row(part: str, name: str, kind: str, weights: Sequence[Any], shapes: str | None = None) -> Row:
    counts = [int(np.prod(weight.shape)) for weight in weights]
    sizes = [count * np.dtype(str(weight.dtype)).itemsize for count, weight in zip(counts, weights, strict=True)]
    if shapes is None:
        shapes = ", ".join(f"{weight.name} {'×'.join(map(str, weight.shape))}" for weight in weights[:3])
        shapes += f", {len(weights) - 3} more" if len(weights) > 3 else ""
    trained = any(weight.trainable for weight in weights)
    return Row(part, name, kind, shapes, sum(counts), sum(sizes), trained)


def _output(layer: keras.layers.Layer) -> str:
    shape = getattr(layer.output, "shape", ())
    return f"→ {_shape(shape[1:])}"


def _shape(shape: Sequence[Any]) -> str:
    return " × ".join(str(n) for n in shape)


def _cells(row: Row) -> tuple[str, ...]:
    return row.name, row.kind, row.shapes, f"{row.parameters:,}", size(row.bytes)


def _totals(member: KerasMember, encoder: Sequence[Row], decoder: Sequence[Row]) -> list[str]:
    encoders = [row for row in encoder if row.part == "encoder"]
    lines = []
    for name, rows in (("encoder", encoders), ("decoder", decoder), ("in all", [*encoders, *decoder])):
        if rows:
            count = sum(row.parameters for row in rows)
            lines.append(f"{name:8} {count:>14,} parameters  {size(sum(row.bytes for row in rows)):>9}")
    if member.encoder is None:
        lines.append(f"encoder  none: captions features of {_shape(member.feature_shape)}")
    if (origin := member.feature_origin) is not None:
        lines.append(f"features {origin.store} (sha256 {origin.sha256[:12]}…): {origin.why}")
    index = member.run.caption_index if member.run is not None else None
    if index is not None and index.is_file():
        lines.append(f"index    captions of training images, {size(index.stat().st_size)} on disk")
    return lines
