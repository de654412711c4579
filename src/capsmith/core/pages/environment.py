"""Jinja2 for the HTML pages: every value is escaped, and a value that a template misses is an error."""

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined

from capsmith.core.outputs import GENERATOR
from capsmith.core.pages.stylesheet import stylesheet as stylesheet


@functools.cache
def environment(package: str, folder: str = "templates") -> Environment:
    """Returns the environment of the templates in a folder of a package.

    Templates know ``stylesheet()``, the text of the shared stylesheet, and ``generator``, the tag by which capsmith
    recognises its pages. Both are inserted with ``|safe``, and nothing else is.

    Args:
        package: The package's name, such as ``capsmith.evaluation``.
        folder: Its folder of templates.

    Raises:
        ValueError: The package has no such folder.
    """
    made = Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.globals.update(stylesheet=stylesheet, generator=GENERATOR)
    return made
