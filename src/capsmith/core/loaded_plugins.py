"""The loaded plugins, the components that each registered, and the plugin in which an error arose."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capsmith.core.errors import CapsmithError, PluginError, escaped, one_line, out_of_memory
from capsmith.core.plugin_sources import Source, source_of
from capsmith.core.tables import TABLES

Names = frozenset[tuple[str, str]]
"""Components by kind and name, as in ``("decoder", "merge")``."""
SESSION = "__main__"
"""The plugin name of components that a notebook or an interactive session registered."""
_LONGEST_MESSAGE = 300  # characters


@dataclass(frozen=True)
class Plugin:
    """Code from outside capsmith that registers components.

    Attributes:
        name: The value of ``--plugin``: a file name, or the name of an installed plugin. For code that was imported,
            the name of its module.
        sha256: Digest of the source, 64 hexadecimal digits; empty without source, as in a notebook.
        source: Its source files.
    """

    name: str
    sha256: str
    source: Source


LOADED: dict[Path | str, tuple[Plugin, Names]] = {}
"""The loaded plugins and the components that each registered, by file or name, in the order of loading."""


def loaded_plugins() -> list[tuple[Plugin, Names]]:
    """Returns the loaded plugins in the order of loading, each with the components that it registered."""
    return list(LOADED.values())


def provider(kind: str, name: str) -> Plugin | None:
    """Returns the plugin that registered a component; None for capsmith's own components and for unknown names."""
    table = TABLES[kind]
    if name not in table or not table.is_external(name):
        return None
    loaded = next((plugin for plugin, names in LOADED.values() if (kind, name) in names), None)
    return loaded or _imported_plugin(table.modules[name])


def plugin_signature(kind: str, name: str) -> tuple[str, ...]:
    """Returns the parts of a score's signature that identify a component's plugin: its name and source digest."""
    plugin = provider(kind, name)
    return () if plugin is None else (f"plugin:{plugin.name}", f"sha:{plugin.sha256[:8] or 'unknown'}")


def plugin_location(error: BaseException) -> str:
    """Returns where in a loaded plugin an error arose, as in ``plugin mine.py, line 3``; else empty."""
    places = [(plugin, line) for plugin, _ in LOADED.values() for line in plugin_lines(error, plugin)]
    return f"plugin {places[-1][0].name}, line {places[-1][1]}" if places else ""


@contextmanager
def plugin_errors(kind: str, name: str) -> Iterator[None]:
    """Turns an error raised inside an external component into one line that names the component and its plugin.

    Raises:
        PluginError: The component raised an error other than running out of memory.
    """
    try:
        yield
    except CapsmithError:
        raise
    except Exception as error:
        plugin = provider(kind, name)
        if plugin is None or out_of_memory(error):
            raise
        where = plugin_location(error) or f"plugin {plugin.name}"
        raise PluginError(f"{kind} '{name}', {where}: {type(error).__name__}: {short_message(error)}") from error


def short_message(error: BaseException) -> str:
    """Returns an error's message on one line, at most 300 characters long."""
    text = escaped(one_line(error))
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"


def plugin_lines(error: BaseException, plugin: Plugin) -> list[int]:
    """Returns the line numbers in a plugin's files that an error's traceback passes through."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno or 1 for frame in frames if frame.filename in plugin.source]


def _imported_plugin(module: str) -> Plugin:
    """Returns an imported module, which was not loaded by ``load_plugin``, as a plugin."""
    top = module.split(".")[0]
    source = source_of(top, sys.modules.get(module))
    name = source.place.name if source.place is not None and source.place.suffix == ".py" else top
    return Plugin(name, source.sha256, source)
