"""What a captioner is made of: its layers, their weights' shapes, parameters and bytes, the encoder's included.

P images · L regions · D channels · V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from capsmith.config import Config
from capsmith.models.member import Member

_LAST = ("to_embedding", "output")  # what the words come from, listed last


@dataclass(frozen=True)
class Row:
    """One layer, or a whole encoder.

    Attributes:
        part: ``encoder`` or ``decoder``.
        name: The layer's name; of a layer within another one both, with a slash between.
        kind: Its type.
        shapes: What it holds, or what goes in and comes out.
        parameters: Numbers in its weights.
        bytes: What they take in memory.
        trained: Whether training changed them.
    """

    part: str
    name: str
    kind: str
    shapes: str
    parameters: int
    bytes: int
    trained: bool


def summary(member: Member, layers: bool = False) -> str:
    """Returns a table of the parts of a model.

    Args:
        member: The model, with its encoder or without.
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


def headline(member: Member) -> str:
    """Returns the way from an image to words in one line."""
    config, decoder = member.config, member.config.decoder
    return (
        f"{decoder.type} captioner: {encoder_name(config)} → {_shape(member.feature_shape)} → "
        f"{decoder.cell.upper()} of {decoder.units} → {len(member.vocabulary):,} words"
    )


def encoder_name(config: Config) -> str:
    """Returns the encoders' names, with the layers at which they are cut where that is not the last one."""
    return " + ".join(one.type + (f" ({one.layer})" if one.layer else "") for one in config.encoders)


def encoder_rows(member: Member, layers: bool = False) -> list[Row]:
    """Returns a row for each encoder, or for each of its layers that has weights; none without encoder."""
    if member.encoder is None:
        return []
    rows = []
    for config, part in zip(member.config.encoders, member.encoder.parts, strict=True):
        shapes = f"{_shape((*part.image_size, 3))} → {_shape(part.feature_shape)}"
        how = "trained" if config.trainable else "adapted, frozen" if config.pretrain_on_words else "frozen"
        rows.append(_row("encoder", config.type, f"CNN, {how}", part.core.weights, shapes))
        if layers:
            kept = [layer for layer in part.core.layers if layer.weights]
            rows += [
                _row("encoder layer", f"  {layer.name}", type(layer).__name__, layer.weights, _output(layer))
                for layer in kept
            ]
    return rows


def decoder_rows(member: Member) -> list[Row]:
    """Returns a row for each layer of the decoder that has weights, in the order in which they are made."""
    decoder = member.model.decoder
    seen: set[int] = set()
    rows = [_row("decoder", name, type(layer).__name__, own) for name, layer, own in _owners(decoder, "", seen)]
    if rest := [weight for weight in decoder.weights if id(weight) not in seen]:
        rows.append(_row("decoder", "output", "", rest))
    return sorted(rows, key=lambda row: _LAST.index(row.name) if row.name in _LAST else -1)


def size(count: float) -> str:
    """Returns a number of bytes for people: kB and MB are thousands and millions."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count:.0f} B"


def _owners(
    layer: keras.layers.Layer, prefix: str, seen: set[int]
) -> Iterator[tuple[str, keras.layers.Layer, list[Any]]]:
    """Yields the layers within a layer, with the weights that no layer within them holds."""
    for inner in _within(layer):
        if id(inner) in seen or not inner.weights:
            continue
        seen.add(id(inner))
        name = prefix + inner.name
        parts = [] if hasattr(inner, "gates") else list(_owners(inner, f"{name}/", seen))
        yield from parts
        own = [weight for weight in inner.weights if id(weight) not in seen]
        seen.update(id(weight) for weight in own)
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


def _totals(member: Member, encoder: Sequence[Row], decoder: Sequence[Row]) -> list[str]:
    whole = [row for row in encoder if row.part == "encoder"]
    lines = []
    for name, rows in (("encoder", whole), ("decoder", decoder), ("in all", [*whole, *decoder])):
        if rows:
            count = sum(row.parameters for row in rows)
            lines.append(f"{name:8} {count:>14,} parameters  {size(sum(row.bytes for row in rows)):>9}")
    if member.encoder is None:
        lines.append(f"encoder  none: it captions features of {_shape(member.feature_shape)}")
    if (origin := member.feature_origin) is not None:
        lines.append(f"features {origin.store} (sha256 {origin.sha256[:12]}…): {origin.why}")
    index = member.run.caption_index if member.run is not None else None
    if index is not None and index.is_file():
        lines.append(f"index    captions of training images, {size(index.stat().st_size)} on disk")
    return lines
