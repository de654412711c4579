"""Loading plugins: decoders, datasets, encoders, searches and metrics from outside capsmith.

A plugin is a Python file, or a module that an installed package names in the entry-point group ``capsmith.plugins``.
It registers its components when it is imported. capsmith never loads a plugin by itself, neither for a config nor for
a run: a plugin is code, and runs only when the user names it (``--plugin``, ``load_plugin``, or an import).
"""

import hashlib
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capsmith.core.errors import PluginError, escaped
from capsmith.core.loaded_plugins import LOADED, Names, Plugin, plugin_lines, short_message
from capsmith.core.plugin_sources import Source, file_of, installed, read_source, source_of
from capsmith.core.registry import REGISTRIES
from capsmith.core.tables import TABLES, RegistrationError


def load_plugin(source: str | Path) -> Plugin:
    """Runs a plugin, which registers its components.

    A plugin that is already loaded does not run again unless its file has changed. In that case its new components
    replace the old ones.

    Args:
        source: A ``.py`` file, or the name of an installed plugin (``capsmith list plugins``).

    Raises:
        PluginError: The plugin does not exist, fails to run, or registers something that is not allowed. None of its
            components stays registered.
    """
    path = Path(source).expanduser()
    if path.suffix == ".py":
        return _load_file(path)
    if path.exists() or len(path.parts) != 1:
        raise PluginError(f"plugin {source}: a plugin is a Python file (.py), or the name of an installed one")
    return _load_installed(str(source))


def unload(plugin: Plugin) -> None:
    """Removes the components that a loaded plugin registered."""
    for key in [key for key, (loaded, _) in LOADED.items() if loaded == plugin]:
        for kind, name in LOADED.pop(key)[1]:
            TABLES[kind].remove(name)


def _load_file(path: Path) -> Plugin:
    text, key = read_source(path), path.resolve()
    plugin = Plugin(path.name, hashlib.sha256(text).hexdigest(), Source(key, (key,)))
    if key in LOADED:
        if LOADED[key][0].sha256 == plugin.sha256:
            return LOADED[key][0]
        unload(LOADED[key][0])
    modules = {name for name, module in list(sys.modules.items()) if file_of(module) == key}
    if registered := _registered_in(modules):  # the file was imported
        LOADED[key] = plugin, registered
        return plugin
    module = types.ModuleType(_module_name(key))
    module.__file__ = str(key)
    with _recording(plugin, key):
        sys.modules[module.__name__] = module
        try:
            exec(compile(text, str(key), "exec"), module.__dict__)  # noqa: S102 - the user requested it by name
        except BaseException:
            del sys.modules[module.__name__]
            raise
    return plugin


def _load_installed(name: str) -> Plugin:
    points = installed()
    if name not in points:
        names = ", ".join(points) or "none"
        raise PluginError(f"no installed plugin {name} (installed: {names}); the name of a plugin file ends in .py")
    if len(points[name]) > 1:
        packages = " and ".join(point.dist.name if point.dist else point.value for point in points[name])
        raise PluginError(f"plugin {name}: {packages} both install a plugin of this name: uninstall one of them")
    if name in LOADED:
        return LOADED[name][0]
    (point,) = points[name]
    source = source_of(point.module)
    plugin = Plugin(name, source.sha256, source)
    top = point.module.split(".")[0]
    before = _registered_in({module for module in list(sys.modules) if module.split(".")[0] == top})
    with _recording(plugin, name, before):
        entry = point.load()
        if callable(entry):
            entry()
    return plugin


@contextmanager
def _recording(plugin: Plugin, key: Path | str, previous: Names = frozenset()) -> Iterator[None]:
    """Records the components that a plugin registers inside the block; removes them all if the block fails."""
    before, objects = _external_names(), _keras_object_count()
    try:
        yield
        names = (_external_names() - before) | previous
        if not names and _keras_object_count() == objects:
            raise PluginError(f"plugin {plugin.name} registers no decoder, dataset, encoder, decoding or metric")
        for kind, name in names:
            if kind in REGISTRIES:
                REGISTRIES[kind].require_target(name)
        LOADED[key] = plugin, names
    except BaseException as error:
        for kind, name in _external_names() - before:
            TABLES[kind].remove(name)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(_load_failure(error, plugin)) from error


def _load_failure(error: BaseException, plugin: Plugin) -> str:
    """Returns why a plugin could not be loaded, and the line in its source."""
    name = f"plugin {plugin.name}"
    if isinstance(error, SyntaxError) and not plugin_lines(error, plugin):
        return f"{name}, line {error.lineno or 1}: not valid Python: {escaped(error.msg)}"
    text, lines = short_message(error), plugin_lines(error, plugin)
    if isinstance(error, RegistrationError | PluginError):
        return f"{name}, line {lines[-1]}: {text}" if lines else text
    return f"{name}{f', line {lines[-1]}' if lines else ''}: {type(error).__name__}: {text}"


def _external_names() -> Names:
    """Returns the components registered from outside; capsmith's own may be registered while a plugin imports them."""
    return frozenset((kind, name) for kind, table in TABLES.items() for name in table if table.is_external(name))


def _registered_in(modules: set[str]) -> Names:
    return frozenset(
        (kind, name) for kind, table in TABLES.items() for name, module in table.modules.items() if module in modules
    )


def _keras_object_count() -> int:
    """Returns how many classes are registered with Keras: the file of a custom encoder may need those of a plugin."""
    keras = sys.modules.get("keras")
    return len(keras.saving.get_custom_objects()) if keras is not None else 0


def _module_name(path: Path) -> str:
    name = "capsmith_plugin_" + re.sub(r"\W", "_", path.stem)
    taken = sys.modules.get(name)
    return name if taken is None or file_of(taken) == path else f"{name}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
