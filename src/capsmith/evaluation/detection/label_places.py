"""Where the labels of boxes stand: inside the image, near their boxes, and apart from each other."""

from collections.abc import Iterator, Sequence

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


def place_labels(
    boxes: Sequence[Rectangle],
    sizes: Sequence[tuple[int, int]],
    image: tuple[int, int],
    order: Sequence[int],
    line: int = 0,
) -> list[Rectangle]:
    """Returns a place for the label of each box.

    A label prefers to stand above its box, then inside it, below it, and beside it, and moves along its sides where
    other labels stand. If there is no free place at all, it takes the one that covers other labels least.

    Args:
        boxes: The boxes.
        sizes: Width and height of the labels.
        image: Width and height of the image.
        order: The numbers of the boxes in the order in which labels are placed; the first have the best places.
        line: The width of the lines of boxes: a label above a box begins at its outer edge.
    """
    places: dict[int, Rectangle] = {}
    for number in order:
        taken = list(places.values())
        best: tuple[float, Rectangle] | None = None
        for place in _candidates(boxes[number], sizes[number], image, line):
            covered = sum(_shared(place, other) for other in taken)
            if best is None or covered < best[0]:
                best = covered, place
            if not covered:
                break
        assert best is not None  # noqa: S101 - there always is a first candidate
        places[number] = best[1]
    return [places[number] for number in range(len(boxes))]


def _candidates(box: Rectangle, size: tuple[int, int], image: tuple[int, int], line: int) -> Iterator[Rectangle]:
    left, top, right, bottom = box
    width, height = size
    above, inside = top - height + line // 2, top
    under, last = bottom - line // 2, bottom - height
    tall = bottom - top >= 2 * height
    ends = (left, right - width)
    for x in ends:
        if above >= 0:
            yield _inside(x, above, size, image)
    if tall:
        for x in ends:
            yield _inside(x, inside, size, image)
    for x in ends:
        if under + height <= image[1]:
            yield _inside(x, under, size, image)
        if tall:
            yield _inside(x, last, size, image)
    yield _inside(left, inside, size, image)
    for y in range(top, bottom, max(height // 2, 1)):
        for x in (left, right - width, left - width, right):
            yield _inside(x, y, size, image)
    for y in range(0, max(image[1] - height, 1), max(height, 1)):  # anywhere on the box's own columns
        yield _inside(left, y, size, image)


def _inside(x: int, y: int, size: tuple[int, int], image: tuple[int, int]) -> Rectangle:
    """Returns a label at a place, moved into the image."""
    x = max(0, min(x, image[0] - size[0]))
    y = max(0, min(y, image[1] - size[1]))
    return x, y, x + size[0], y + size[1]


def _shared(one: Rectangle, other: Rectangle) -> float:
    """Returns the area that two rectangles share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
