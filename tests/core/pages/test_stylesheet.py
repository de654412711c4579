"""The shared stylesheet: complete, self-contained, readable in light and dark."""

import re
from importlib import resources

import pytest

from capsmith.core.pages.stylesheet import stylesheet, tokens

TOKEN = re.compile(r"^\s*(--[a-z0-9-]+):\s*(.+);$", re.MULTILINE)
PAIR = re.compile(r"light-dark\((#[0-9a-f]{3,6}), (#[0-9a-f]{3,6})\)")


def root():
    """Returns the tokens of the first rule, without those of media queries."""
    return dict(TOKEN.findall(tokens().split("}")[0]))


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_variable_is_defined():
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", stylesheet()))
    assert used and used <= set(root())


def test_it_loads_nothing_and_can_stand_in_a_style_element():
    assert not re.search(r"url\(|@import|http|<", stylesheet())
    assert stylesheet().count("{") == stylesheet().count("}")


def test_colours_exist_for_light_and_dark():
    colours = {name: value for name, value in root().items() if "#" in value}
    assert len(colours) >= 15 and all(PAIR.fullmatch(value) for value in colours.values())


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme):
    """WCAG 2.2: 4.5 for text (1.4.3), 3 for the outlines of controls (1.4.11)."""
    colour = {name[2:]: found[1 + theme] for name, value in root().items() if (found := PAIR.fullmatch(value))}
    pairs = [
        (text, ground, 4.5)
        for text in ("ink", "soft", "accent", "accent-strong", "good", "bad", "warn")
        for ground in ("paper", "card", "sunken", "tint")
    ]
    pairs += [("on-accent", "accent", 4.5), ("on-accent", "accent-strong", 4.5), ("ink", "mark", 4.5)]
    pairs += [("bad", "bad-tint", 4.5), ("edge", "card", 3), ("edge", "paper", 3)]
    low = {(a, b): round(contrast(colour[a], colour[b]), 2) for a, b, least in pairs}
    assert {pair: low[pair[:2]] for pair in pairs if low[pair[:2]] < pair[2]} == {}


def test_files_are_package_data():
    names = {entry.name for entry in resources.files("capsmith.core.pages").iterdir()}
    assert {"tokens.css", "style.css", "controls.css"} <= names
