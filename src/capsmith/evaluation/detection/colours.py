"""The colours of classes: the same name has the same colour in every image and with every detector."""

import colorsys
import zlib

from capsmith.evaluation.line_chart import RGB
from capsmith.metrics.grounding import CLASSES
from capsmith.metrics.grounding.table import canonical

_TIERS = ((0.22, 0.92), (0.36, 0.85), (0.55, 0.95))  # relative luminance and saturation
_HUES, _STEP = 27, 10  # for each tier; the step keeps neighbours in COCO's list, which occur together, far apart
_FIRST = 0.57  # the hue of the first class, person: blue is rare near people
_DARK: RGB = (22, 24, 29)
_LIGHT: RGB = (255, 255, 255)


def class_colour(label: str) -> RGB:
    """Returns the colour of a class.

    Args:
        label: Its name. Spellings of COCO's classes, such as ``aeroplane`` and ``airplane``, share a colour.
    """
    name = canonical(label)
    number = CLASSES.index(name) if name in CLASSES else len(CLASSES) + zlib.crc32(name.encode()) % 997
    place, tier = divmod(number, len(_TIERS))
    step = (place * _STEP + tier * _HUES // len(_TIERS)) % _HUES
    return _with_luminance((_FIRST + step / _HUES) % 1, *_TIERS[tier])


def text_colour(fill: RGB) -> RGB:
    """Returns black or white, whichever is easier to read on a colour (WCAG 2's contrast)."""
    light = luminance(fill)
    return _LIGHT if 1.05 / (light + 0.05) > (light + 0.05) / (luminance(_DARK) + 0.05) else _DARK


def luminance(colour: RGB) -> float:
    """Returns the relative luminance of an sRGB colour, 0 to 1 (WCAG 2)."""
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _with_luminance(hue: float, target: float, saturation: float) -> RGB:
    """Returns the colour of a hue that has a luminance: all hues of a tier are equally bright."""
    low, high = 0.0, 1.0
    for _ in range(12):
        light = (low + high) / 2
        low, high = (light, high) if luminance(_rgb(hue, light, saturation)) < target else (low, light)
    return _rgb(hue, (low + high) / 2, saturation)


def _rgb(hue: float, light: float, saturation: float) -> RGB:
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, light, saturation))
    return red, green, blue
