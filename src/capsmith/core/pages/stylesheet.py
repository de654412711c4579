"""The stylesheet that all pages share: design tokens, then components. It needs no Jinja2."""

import functools
from importlib import resources


@functools.cache
def tokens() -> str:
    """Returns the design tokens alone: CSS variables for colours, spacing, type and shapes."""
    return _css("tokens.css")


@functools.cache
def stylesheet() -> str:
    """Returns the stylesheet: the tokens and the components that use them."""
    return "\n".join((tokens(), _css("style.css"), _css("controls.css")))


def _css(name: str) -> str:
    return resources.files("capsmith.core.pages").joinpath(name).read_text(encoding="utf-8")
