"""Rows and columns of a grid of regions of which only the number is known."""

import math


def grid_of(regions: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """Returns the rows and columns whose cells are closest to squares.

    Args:
        regions: Number of regions, L.
        image_size: Height and width of the image that they divide.
    """
    height, width = image_size
    pairs = [(rows, regions // rows) for rows in range(1, regions + 1) if regions % rows == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1] * width / height)))
