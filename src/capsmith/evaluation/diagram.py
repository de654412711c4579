"""A diagram of a captioner as SVG: the image branch on the left, the word branch on the right, and their fusion."""

from pathlib import Path

from capsmith.core.errors import CapsmithError
from capsmith.core.files import write_text
from capsmith.core.outputs import require_replaceable
from capsmith.evaluation.diagram_layout import BOTH, BOX, IMAGE, LINE, TITLE, WIDTH, WORDS, layout
from capsmith.evaluation.drawing import Drawing
from capsmith.models.captioner import Captioner
from capsmith.models.keras_member import KerasMember
from capsmith.models.loading import keras_members
from capsmith.models.summary import decoder_rows, encoder_rows, headline, size

_LONG = 62  # characters of a title in large type
_SOFT = (75, 82, 96)
_EDGES = {IMAGE: (0, 114, 178), WORDS: (0, 130, 95), BOTH: (213, 94, 0)}


def save_diagram(captioner: Captioner, path: Path) -> None:
    """Draws the (first) model of a captioner.

    Args:
        captioner: The captioner, with or without its encoder.
        path: The file to write; its suffix is ``.svg``.

    Raises:
        CapsmithError: The suffix differs, the file exists and is not an earlier diagram, or it cannot be written.
    """
    require_drawable(path)
    write_text(path, diagram(captioner).svg())


def require_drawable(path: Path) -> None:
    """Checks that a diagram may be written to a path; raises the errors of ``save_diagram``."""
    if path.suffix.lower() != ".svg":
        raise CapsmithError(f"--diagram {path}: the file name must end in .svg")
    require_replaceable(path, Drawing.is_drawing, "--diagram")


def diagram(captioner: Captioner) -> Drawing:
    """Returns the drawing of the (first) model of a captioner."""
    member = keras_members(captioner.members[:1])[0]
    boxes, arrows = layout(member)
    low = max(box.low for box in boxes)
    drawing = Drawing(WIDTH, round(low) + 66, headline(member))
    title = headline(member)
    drawing.text(WIDTH / 2, 30, title, 19 if len(title) <= _LONG else 14, bold=True)
    for points, label, dashed in arrows:
        drawing.arrow(points, dashed)
        if label:
            (x, y), (x2, y2) = points[:2]
            if y == y2:
                drawing.text((x + x2) / 2, y - 9, label, 13, _SOFT)
            else:
                drawing.text(x + 8, (y + y2) / 2, label, 13, _SOFT, anchor="start")
    for box in boxes:
        drawing.box(box.x - BOX / 2, box.top, BOX, box.height, box.colour, _EDGES[box.colour])
        y = box.top + 8 + TITLE / 2
        drawing.text(box.x, y, box.title, 17, bold=True)
        for number, line in enumerate(box.lines):
            drawing.text(box.x, y + 22 + number * LINE, line, 13, _SOFT)
    drawing.text(WIDTH / 2, low + 40, _totals(member), 13, _SOFT)
    return drawing


def _totals(member: KerasMember) -> str:
    totals: list[str] = []
    for name, rows in (("encoder", encoder_rows(member)), ("decoder", decoder_rows(member))):
        if rows:
            totals.append(f"{name} {sum(r.parameters for r in rows):,} parameters, {size(sum(r.bytes for r in rows))}")
    return "   ·   ".join(totals)
