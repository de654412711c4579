"""Plugins: decoders, datasets, encoders, searches and metrics from outside.

A plugin is a Python file, or a module that an installed package names in the entry-point group ``capsmith.plugins``.
It registers what it brings when it is imported. Nothing is ever loaded by itself, neither for a config nor for a run:
a plugin is code, and runs only when somebody names it (``--plugin``, ``load_plugin``, or an import).
"""

import hashlib
import re
import sys
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmith.core.errors import CapsmithError, PluginError, escaped, one_line, out_of_memory
from capsmith.core.plugin_sources import Source, file_of, installed, read_source, source_of
from capsmith.core.registry import RegistrationError, Table

Names = frozenset[tuple[str, str]]
"""Components by kind and name, as in ``("decoder", "merge")``."""
SESSION = "__main__"
"""The plugin's name of what a notebook or an interactive session registered."""
_LONGEST = 300  # characters shown of what is wrong


@dataclass(frozen=True)
class Plugin:
    """Code from outside that brings components.

    Attributes:
        name: What ``--plugin`` calls it: a file's name, or an installed plugin's. Of code that was imported, its
            module's name.
        sha256: Of the source, 64 hexadecimal digits; empty where there is none, as in a notebook.
        source: Its files.
    """

    name: str
    sha256: str
    source: Source


_loaded: dict[Path | str, tuple[Plugin, Names]] = {}  # by file or name: what each one brought


def load_plugin(source: str | Path) -> Plugin:
    """Runs a plugin, which registers what it brings.

    A plugin that is loaded already is not run again, unless its file has changed: then its components take the place
    of those that it brought before.

    Args:
        source: A ``.py`` file, or the name of an installed plugin (``capsmith list plugins``).

    Raises:
        PluginError: There is none, it cannot be run, or what it registers is not allowed. Nothing of it stays.
    """
    path = Path(source).expanduser()
    if path.suffix == ".py":
        return _load_file(path)
    if path.exists() or len(path.parts) != 1:
        raise PluginError(f"plugin {source}: a plugin is a Python file (.py), or the name of an installed one")
    return _load_installed(str(source))


def brought() -> list[tuple[Plugin, Names]]:
    """Returns the plugins that are loaded, in their order, and what each one brought."""
    return list(_loaded.values())


def forget(plugin: Plugin) -> None:
    """Unregisters what a loaded plugin brought."""
    for key in [key for key, (one, _) in _loaded.items() if one == plugin]:
        for kind, name in _loaded.pop(key)[1]:
            tables()[kind].drop(name)


def provider(kind: str, name: str) -> Plugin | None:
    """Returns the plugin that brought a component; None for capsmith's own, and for those that are not registered."""
    table = tables()[kind]
    if name not in table or not table.outside(name):
        return None
    known = next((plugin for plugin, names in _loaded.values() if (kind, name) in names), None)
    return known or _of_module(table.modules[name])


def signed(kind: str, name: str) -> tuple[str, ...]:
    """Returns the parts of a signature that name the plugin of a component: its name, and what its source is."""
    plugin = provider(kind, name)
    return () if plugin is None else (f"plugin:{plugin.name}", f"sha:{plugin.sha256[:8] or 'unknown'}")


def tables() -> dict[str, Table[Any]]:
    """Returns what can be registered, by kind."""
    from capsmith.data.records import DATASETS
    from capsmith.decoding.search import DECODINGS
    from capsmith.metrics.names import METRICS
    from capsmith.models.decoders.config import DECODERS
    from capsmith.vision.encoders import ENCODERS

    every: tuple[Table[Any], ...] = (DECODERS.settings, DATASETS.settings, ENCODERS, DECODINGS.settings, METRICS)
    return {table.kind: table for table in every}


def line_of(error: BaseException) -> str:
    """Returns where in a loaded plugin an error arose, as in ``plugin mine.py, line 3``; empty when in none."""
    places = [(plugin, line) for plugin, _ in _loaded.values() for line in _lines(error, plugin)]
    return f"plugin {places[-1][0].name}, line {places[-1][1]}" if places else ""


@contextmanager
def blamed(kind: str, name: str) -> Iterator[None]:
    """Turns whatever goes wrong in a component from outside into one line that names it and its plugin.

    Raises:
        PluginError: Something did, other than that memory is used up.
    """
    try:
        yield
    except CapsmithError:
        raise
    except Exception as error:
        who = provider(kind, name)
        if who is None or out_of_memory(error):
            raise
        where = line_of(error) or f"plugin {who.name}"
        raise PluginError(f"{kind} '{name}', {where}: {type(error).__name__}: {_short(error)}") from error


def _short(error: BaseException) -> str:
    text = escaped(one_line(error))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def _lines(error: BaseException, plugin: Plugin) -> list[int]:
    """Returns the lines of a plugin's files that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno or 1 for frame in frames if frame.filename in plugin.source]


def _load_file(path: Path) -> Plugin:
    text, key = read_source(path), path.resolve()
    plugin = Plugin(path.name, hashlib.sha256(text).hexdigest(), Source(key, (key,)))
    if key in _loaded:
        if _loaded[key][0].sha256 == plugin.sha256:
            return _loaded[key][0]
        forget(_loaded[key][0])
    modules = {name for name, module in list(sys.modules.items()) if file_of(module) == key}
    if there := _registered_in(modules):  # somebody has imported it
        _loaded[key] = plugin, there
        return plugin
    module = types.ModuleType(_module_name(key))
    module.__file__ = str(key)
    with _recorded(plugin, key):
        sys.modules[module.__name__] = module
        try:
            exec(compile(text, str(key), "exec"), module.__dict__)  # noqa: S102 - somebody named it to be run
        except BaseException:
            del sys.modules[module.__name__]
            raise
    return plugin


def _load_installed(name: str) -> Plugin:
    known = installed()
    if name not in known:
        there = ", ".join(known) or "none"
        raise PluginError(f"no plugin {name}: neither a file NAME.py, nor installed (installed: {there})")
    if len(known[name]) > 1:
        packages = " and ".join(point.dist.name if point.dist else point.value for point in known[name])
        raise PluginError(f"plugin {name}: {packages} both install one of this name: uninstall one of them")
    if name in _loaded:
        return _loaded[name][0]
    (point,) = known[name]
    source = source_of(point.module)
    plugin = Plugin(name, source.sha256, source)
    top = point.module.split(".")[0]
    before = _registered_in({module for module in list(sys.modules) if module.split(".")[0] == top})
    with _recorded(plugin, name, before):
        found = point.load()
        if callable(found):
            found()
    return plugin


@contextmanager
def _recorded(plugin: Plugin, key: Path | str, already: Names = frozenset()) -> Iterator[None]:
    """Notes what a plugin registers within; takes all of it back, and says why, where something fails."""
    before, objects = _every_name(), _keras_objects()
    try:
        yield
        names = (_every_name() - before) | already
        if not names and _keras_objects() == objects:
            kinds = "decoder, dataset, encoder, decoding or metric"
            raise PluginError(f"plugin {plugin.name} registers no {kinds}: is it the right one?")
        _require_targets(names)
        _loaded[key] = plugin, names
    except BaseException as error:
        for kind, name in _every_name() - before:
            tables()[kind].drop(name)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(_why(error, plugin)) from error


def _why(error: BaseException, plugin: Plugin) -> str:
    """Returns what went wrong while a plugin ran, and in which line."""
    name = f"plugin {plugin.name}"
    if isinstance(error, SyntaxError) and not _lines(error, plugin):
        return f"{name}, line {error.lineno or 1}: not valid Python: {escaped(error.msg)}"
    text, lines = _short(error), _lines(error, plugin)
    if isinstance(error, RegistrationError | PluginError):
        return f"{name}, line {lines[-1]}: {text}" if lines else text
    return f"{name}{f', line {lines[-1]}' if lines else ''}: {type(error).__name__}: {text}"


def _require_targets(names: Names) -> None:
    """Raises PluginError where a plugin's settings name an implementation that its own file lacks."""
    from capsmith import config

    for registry in (config.DECODERS, config.DATASETS, config.DECODINGS):
        for kind, name in names:
            if kind == registry.kind:
                registry.require_target(name)


def _every_name() -> Names:
    return frozenset((kind, name) for kind, table in tables().items() for name in table)


def _registered_in(modules: set[str]) -> Names:
    return frozenset(
        (kind, name) for kind, table in tables().items() for name, at in table.modules.items() if at in modules
    )


def _keras_objects() -> int:
    """Returns how many layers and the like are registered with Keras: the file of a custom encoder may need them."""
    keras = sys.modules.get("keras")
    return len(keras.saving.get_custom_objects()) if keras is not None else 0


def _module_name(path: Path) -> str:
    name = "capsmith_plugin_" + re.sub(r"\W", "_", path.stem)
    taken = sys.modules.get(name)
    return name if taken is None or file_of(taken) == path else f"{name}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"


def _of_module(module: str) -> Plugin:
    """Returns the plugin that an imported module is when nobody has loaded it as one."""
    top = module.split(".")[0]
    source = source_of(top, sys.modules.get(module))
    name = source.place.name if source.place is not None and source.place.suffix == ".py" else top
    return Plugin(name, source.sha256, source)
