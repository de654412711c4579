"""Names for components: a settings model on one side, the class that it configures on the other.

A settings class registers with the place of its implementation as a string, so that settings stay free of Keras::

    DECODERS = Registry("decoder", DecoderConfig)

    @DECODERS.register("capsmith.models.decoders.merge:Merge")
    class MergeConfig(DecoderConfig):
        type: Literal["merge"] = "merge"

    DECODERS.build(MergeConfig(), vocabulary_size=5000)      # imports capsmith.models.decoders.merge now

Components from outside register in the same way, at any time before a config that names them is read; ``":Merge"``
is the name in the file of the settings class.
"""

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args

from pydantic import Field, TypeAdapter, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from capsmith.core.errors import PluginError
from capsmith.core.loaded_plugins import plugin_errors
from capsmith.core.schema import Settings
from capsmith.core.tables import RegistrationError, Table

S = TypeVar("S", bound=type[Settings])
UNLOADED = "unloaded"
"""In a validation's context: by kind and name, the plugins whose components a run's config may name unloaded."""


REGISTRIES: dict[str, "Registry"] = {}
"""Every registry by its kind. A registry appears when the module that defines it is imported."""


class Registry:
    """All components of one kind, by the ``type`` that a config names.

    Args:
        kind: The word for messages, such as ``"decoder"``.
        base: What every settings class of the kind is a subclass of.
    """

    def __init__(self, kind: str, base: type[Settings] = Settings) -> None:
        self.kind, self.base = kind, base
        self.settings: Table[type[Settings]] = Table(kind)
        self._targets: dict[str, str | Callable[..., Any]] = {}
        REGISTRIES[kind] = self
        self._adapter: tuple[tuple[type[Settings], ...], TypeAdapter[Any]] | None = None

    def register(self, target: str | Callable[..., Any]) -> Callable[[S], S]:
        """Returns a decorator that enters a settings class.

        Args:
            target: What it configures: ``"package.module:name"``, ``":name"`` in the module of the settings class, or
                the class or function itself.
        """

        def enter(settings: S) -> S:
            if not (isinstance(settings, type) and issubclass(settings, self.base)):
                raise RegistrationError(
                    f"{self.kind} {settings!r:.80}: settings are a subclass of {self.base.__name__}"
                )
            fields: dict[str, FieldInfo] = settings.model_fields  # type: ignore[call-overload]
            name = fields["type"].default if "type" in fields else None
            if not isinstance(name, str) or get_args(fields["type"].annotation) != (name,):
                wanted = 'type: Literal["name"] = "name"'
                raise RegistrationError(f"{self.kind} {settings.__name__}: its settings need a field {wanted}")
            if not callable(target) and not re.fullmatch(r"[\w.]*:\w+", target):
                raise RegistrationError(
                    f"{self.kind} '{name}': {target!r:.80} is not of the form 'package.module:name'"
                )
            self.settings.add(name, settings, settings.__module__)
            self._targets[name] = target
            return settings

        return enter

    def names(self) -> list[str]:
        """Returns the registered names in order of registration."""
        return list(self.settings)

    def describe(self) -> dict[str, str]:
        """Returns the first line of each settings class's docstring by name."""
        docs = {name: (settings.__doc__ or "").strip() for name, settings in self.settings.items()}
        return {name: doc.splitlines()[0] if doc else "" for name, doc in docs.items()}

    def union(self) -> Any:
        """Returns the discriminated union of all that is registered now."""
        members = tuple(self.settings.values())
        return Annotated[Union[members], Field(discriminator="type")] if len(members) > 1 else members[0]  # noqa: UP007

    def validate(self, value: Any, context: Any = None) -> Settings:
        """Checks a section against the settings that its ``type`` names, among all that are registered by now.

        Args:
            value: What a config says, or settings.
            context: See ``UNLOADED``.

        Raises:
            ValidationError: It is not valid.
        """
        if isinstance(value, Mapping) and isinstance(given := value.get("type"), str):
            if (name := self.settings.find(given)) is not None:
                value = {**value, "type": name}
            elif (self.kind, given) in (context or {}).get(UNLOADED, {}):
                return _placeholder(self.base).model_validate(value)
        members = tuple(self.settings.values())
        if self._adapter is None or self._adapter[0] != members:
            self._adapter = members, TypeAdapter(self.union())
        found: Settings = self._adapter[1].validate_python(value, context=context)
        return found

    def target(self, settings: Settings) -> Any:
        """Imports and returns what the settings configure.

        Raises:
            PluginError: They are of a plugin that is not loaded, or whose file lacks it.
        """
        name: str = settings.type  # type: ignore[attr-defined]
        if name not in self._targets or name not in self.settings:
            raise PluginError(f"{self.kind} '{name}' is of a plugin that is not loaded: name it with --plugin")
        target = self._targets[name]
        if callable(target):
            return target
        module, _, attribute = target.partition(":")
        module = module or self.settings.modules[name]
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if not self.settings.is_external(name):
                raise
            raise PluginError(f"{self.kind} '{name}': there is no {attribute} in {module}: {error}") from error

    def require_target(self, name: str) -> None:
        """Checks that what a settings class names in its own, imported, module is there.

        Raises:
            PluginError: It is not there, or cannot be called.
        """
        target = self._targets[name]
        module, attribute = ("", "") if callable(target) else target.split(":")
        if attribute and module in ("", self.settings.modules[name]):
            found = getattr(sys.modules.get(self.settings.modules[name]), attribute, None)
            if not callable(found):
                raise PluginError(f"{self.kind} '{name}': ':{attribute}' is no class or function of its file")

    def build(self, settings: Settings, *args: Any, **kwargs: Any) -> Any:
        """Imports the implementation and calls it with the settings first.

        Raises:
            PluginError: It is of a plugin, and fails, or cannot be called so.
        """
        target = self.target(settings)
        if not self.settings.is_external(name := settings.type):  # type: ignore[attr-defined]
            return target(settings, *args, **kwargs)
        with plugin_errors(self.kind, name):
            return target(settings, *args, **kwargs)


class OneOf:
    """Annotates a config's section whose ``type`` names one of a registry's components.

    They are looked up when a config is read, so that the order of imports does not matter.

    Args:
        registry: The registry.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @property
    def members(self) -> list[type[Settings]]:
        """The settings that the section may hold."""
        return list(self.registry.settings.values())

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Settings:
            return self.registry.validate(value, info.context)

        return core_schema.with_info_plain_validator_function(validate)


def _placeholder(base: type[Settings]) -> type[Settings]:
    """Returns settings that keep whatever a section says, for components of plugins that are not loaded."""

    class Placeholder(base, extra="allow"):  # type: ignore[valid-type,misc,call-arg]
        """Of a plugin that is not loaded."""

    return Placeholder
