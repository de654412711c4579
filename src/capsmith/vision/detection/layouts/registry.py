"""All layouts, in the order in which they are tried."""

from collections.abc import Callable

from capsmith.vision.detection.layouts import cells, finished, nanodet, queries
from capsmith.vision.detection.layouts.layout import Layout, Network

_RECOGNISERS: tuple[Callable[[Network], Layout | None], ...] = (
    finished.recognise,
    queries.recognise,
    nanodet.recognise,
    cells.recognise,
)


def recognise(network: Network) -> Layout | None:
    """Returns the layout of a network's outputs; None if it is none of those that are known."""
    return next((layout for each in _RECOGNISERS if (layout := each(network)) is not None), None)
