"""The positions of the parts of a captioner in its diagram: one layout per decoder type."""

from dataclasses import dataclass
from typing import Any

from capsmith.models.keras_member import KerasMember
from capsmith.models.summary import Row, decoder_rows, encoder_name, encoder_rows

WIDTH, BOX, _ROW = 800, 320, 136  # the width of the diagram and of a box; the distance of rows
_TOP, _LEFT, _RIGHT, _MIDDLE = 84, 200, 600, 400
TITLE, LINE = 25, 19  # the heights of text lines
_ENTERING = (
    "to_state",
    "context",
    "gate",
    "from_answer",
    "from_language",
)  # from attention to recurrence
IMAGE, WORDS, BOTH = (230, 240, 250), (236, 246, 238), (253, 240, 224)


@dataclass(frozen=True)
class Box:
    """A part of the model: its position, title and details."""

    x: int
    row: float
    title: str
    lines: tuple[str, ...]
    colour: tuple[int, int, int]

    @property
    def height(self) -> int:
        """The height in pixels."""
        return 16 + TITLE + LINE * len(self.lines)

    @property
    def middle(self) -> float:
        """The vertical centre."""
        return _TOP + self.row * _ROW + 42

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.middle - self.height / 2

    @property
    def low(self) -> float:
        """The lower edge."""
        return self.middle + self.height / 2


Arrow = tuple[list[tuple[float, float]], str, bool]
Layout = tuple[list[Box], list[Arrow]]


def layout(member: KerasMember) -> Layout:
    """Returns the boxes of a member and the arrows between them: points, label, and whether the arrow is dashed."""
    return _LAYOUTS.get(member.config.decoder.type, _other)(_Parts(member))


class _Parts:
    """The boxes that all captioners share."""

    def __init__(self, member: KerasMember) -> None:
        self.member, self.config = member, member.config.decoder
        self.rows: dict[str, Row] = {row.name: row for row in decoder_rows(member)}
        self.cell = self.config.cell.upper()
        self.words = len(member.vocabulary)

    def count(self, *names: str) -> str:
        """Returns the number of parameters of layers as text."""
        total = sum(row.parameters for name, row in self.rows.items() if name.split("/")[0] in names)
        return f"{total:,} parameters"

    def image(self) -> list[Box]:
        """Returns the boxes of image and encoder."""
        member = self.member
        rows = encoder_rows(member)
        sizes = {" × ".join(map(str, part.image_size)) for part in member.encoder.parts} if member.encoder else ()
        parameters = f"{sum(row.parameters for row in rows):,} parameters" if rows else "not in this run"
        how = rows[0].kind.partition(", ")[2] if rows else "precomputed features"
        return [
            Box(_LEFT, 0, "image", (" and ".join(sorted(sizes)) + " × 3" if sizes else "",), IMAGE),
            Box(_LEFT, 1, *self._encoder(f"CNN, {how}", parameters), IMAGE),
        ]

    def _encoder(self, *details: str) -> tuple[str, tuple[str, ...]]:
        """Returns a title and lines: a single encoder is the title, several encoders have one line each."""
        names = encoder_name(self.member.config).split(" + ")
        return (names[0], details) if len(names) == 1 else (f"{len(names)} encoders", (*names, *details))

    def sentence(self) -> list[Box]:
        """Returns the boxes of the words so far and of their embedding."""
        embedding = self.config.embedding
        return [
            Box(_RIGHT, 0, "words so far", ("<start> a dog runs …",), WORDS),
            Box(_RIGHT, 1, f"embedding, {embedding.size}", (f"{self.words:,} words", self.count("embedding")), WORDS),
        ]

    def recurrence(self, row: float, name: str = "", prefix: str = "cell_", entering: tuple[str, ...] = ()) -> Box:
        """Returns the box of the recurrent layers whose names start with a prefix."""
        layers = [key for key in self.rows if key.startswith(prefix)]
        times = f"{len(layers)} × " if len(layers) > 1 else ""
        title = f"{times}{self.cell}, {self.config.units}{name}"
        return Box(_RIGHT, row, title, (self.count(*layers, *entering),), WORDS)

    def output(self, row: float, x: int) -> Box:
        """Returns the box of the output layer."""
        tied = ", tied" if self.config.tie_embeddings else ""
        lines = (f"softmax over {self.words:,} words{tied}", self.count("output", "to_embedding"))
        return Box(x, row, "next word", lines, BOTH)

    def attention(self, row: float) -> Box:
        """Returns the box of the attention over regions."""
        config: Any = self.config
        regions, width = self.member.feature_shape[0], config.attention_units
        how = f"{config.heads} heads" if config.attention == "multihead" else "additive"
        lines = [f"{how}, width {width}", self.count("standardise", "regions", "attend")]
        if config.refine:
            lines.insert(1, "context gated by the query")
        return Box(_LEFT, row, f"attention over {regions} regions", tuple(lines), BOTH)

    @property
    def features(self) -> str:
        """The shape of the features as text."""
        return " × ".join(map(str, self.member.feature_shape))


def _merge(parts: _Parts) -> Layout:
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    units = parts.config.units
    dense = Box(_LEFT, 2, f"dense, {units}", ("ReLU", parts.count("standardise", "picture")), IMAGE)
    lstm = parts.recurrence(2)
    how = {"add": "add", "concat": "concatenate", "multiply": "multiply"}[parts.config.fusion]  # type: ignore[attr-defined]
    mix = Box(_MIDDLE, 3, f"{how}, then dense, {units}", ("ReLU", parts.count("mix")), BOTH)
    last = parts.output(4, _MIDDLE)
    arrows = [
        *_ways(parts, image, encoder, dense, words, embedding, lstm),
        _elbow(dense, mix, -60),
        _elbow(lstm, mix, 60),
        _down(mix, last),
    ]
    return [image, encoder, dense, words, embedding, lstm, mix, last], arrows


def _inject(parts: _Parts) -> Layout:
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    mode = parts.config.mode  # type: ignore[attr-defined]
    name = {"init": "to_state", "pre": "to_word", "par": "beside_words"}[mode]
    way = {"init": "first state", "pre": "first word", "par": "every word"}[mode]
    activation = {"init": "tanh", "pre": "linear", "par": "ReLU"}[mode]
    dense = Box(_LEFT, 2, "dense", (activation, parts.count("standardise", name)), IMAGE)
    lstm = parts.recurrence(2)
    last = parts.output(3, _RIGHT)
    across = _across(dense, lstm, way)
    arrows = [*_ways(parts, image, encoder, dense, words, embedding, lstm), across, _down(lstm, last)]
    return [image, encoder, dense, words, embedding, lstm, last], arrows


def _attention(parts: _Parts) -> Layout:
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    attend, lstm = parts.attention(2), parts.recurrence(2, entering=_ENTERING)
    mix = Box(_RIGHT, 3, f"dense, {parts.config.units}", ("tanh", parts.count("mix")), BOTH)
    last = parts.output(4, _RIGHT)
    arrows = [
        *_ways(parts, image, encoder, attend, words, embedding, lstm),
        _across(lstm, attend, "query", -14, dashed=True),
        _across(attend, lstm, "context", 16),
        _elbow(attend, mix, 0, side=True),
        _down(lstm, mix),
        _down(mix, last),
    ]
    return [image, encoder, attend, words, embedding, lstm, mix, last], arrows


def _updown(parts: _Parts) -> Layout:
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    attend = parts.attention(2)
    querying, language = (
        parts.recurrence(2, ", query", "asking", _ENTERING),
        parts.recurrence(3, ", language", "language"),
    )
    last = parts.output(4, _RIGHT)
    arrows = [
        *_ways(parts, image, encoder, attend, words, embedding, querying),
        _across(querying, attend, "query", dashed=True),
        _elbow(attend, language, 0, side=True),
        _down(querying, language),
        _down(language, last),
    ]
    return [image, encoder, attend, words, embedding, querying, language, last], arrows


def _aoa(parts: _Parts) -> Layout:
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    attend, lstm = parts.attention(2), parts.recurrence(2, entering=_ENTERING)
    last = parts.output(3, _MIDDLE)
    arrows = [
        *_ways(parts, image, encoder, attend, words, embedding, lstm),
        _across(lstm, attend, "query", -14 if parts.config.input_feeding else 0, dashed=True),  # type: ignore[attr-defined]
        _elbow(attend, last, -60),
    ]
    if parts.config.input_feeding:  # type: ignore[attr-defined]
        arrows.append(_across(attend, lstm, "context", 16))
    return [image, encoder, attend, words, embedding, lstm, last], arrows


def _other(parts: _Parts) -> Layout:
    """Lays out a decoder of an unknown type."""
    image, encoder, words, embedding = (*parts.image(), *parts.sentence())
    names = [name for name in parts.rows if name.split("/")[0] not in ("embedding", "output", "to_embedding")]
    decoder = Box(_MIDDLE, 2, parts.config.type, (parts.count(*(name.split("/")[0] for name in names)),), BOTH)
    last = parts.output(3, _MIDDLE)
    arrows = [_down(image, encoder), _down(words, embedding), _elbow(encoder, decoder, -60, parts.features)]
    return [image, encoder, words, embedding, decoder, last], [
        *arrows,
        _elbow(embedding, decoder, 60),
        _down(decoder, last),
    ]


_LAYOUTS = {"merge": _merge, "inject": _inject, "attention": _attention, "updown": _updown, "aoa": _aoa}


def _ways(
    parts: _Parts, image: Box, encoder: Box, after: Box, words: Box, embedding: Box, recurrence: Box
) -> list[Arrow]:
    return [
        _down(image, encoder),
        _down(encoder, after, parts.features),
        _down(words, embedding),
        _down(embedding, recurrence),
    ]


def _down(start: Box, end: Box, label: str = "") -> Arrow:
    return [(start.x, start.low), (end.x, end.top)], label, False


def _across(start: Box, end: Box, label: str, shift: float = 0, dashed: bool = False) -> Arrow:
    side = BOX / 2 if start.x < end.x else -BOX / 2
    y = start.middle + shift
    return [(start.x + side, y), (end.x - side, y)], label, dashed


def _elbow(start: Box, end: Box, shift: float, label: str = "", side: bool = False) -> Arrow:
    """Returns an arrow from the bottom of a box to the top or the left side of another one."""
    if side:
        return [(start.x, start.low), (start.x, end.middle), (end.x - BOX / 2, end.middle)], "context", False
    half = (start.low + end.top) / 2
    return [(start.x, start.low), (start.x, half), (end.x + shift, half), (end.x + shift, end.top)], label, False
