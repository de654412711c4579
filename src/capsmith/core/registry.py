"""Registries map the ``type`` of a config section to its settings class and to the class that it configures.

A settings class registers the location of its implementation as a string, so that settings import no Keras::

    DECODERS = Registry("decoder", DecoderConfig)

    @DECODERS.register("capsmith.models.decoders.merge:Merge")
    class MergeConfig(DecoderConfig):
        type: Literal["merge"] = "merge"

    DECODERS.build(MergeConfig(), vocabulary_size=5000)      # imports capsmith.models.decoders.merge now

External components register in the same way, at any time before a config that names them is read. ``":Merge"`` is a
name in the module of the settings class.
"""

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
"""Key in the context of a validation: the plugins, by kind and name, of components that are not loaded."""


REGISTRIES: dict[str, "Registry"] = {}
"""Every registry by its kind. A registry appears when the module that defines it is imported."""


class Registry:
    """The components of one kind, by the ``type`` that a config names.

    Creating a registry also enters it in ``REGISTRIES``.

    Args:
        kind: The name of the kind, used in messages, such as ``"decoder"``.
        base: The base class of the settings of this kind.
        retired: Names from earlier versions, each with a sentence that states the replacement.
    """

    def __init__(
        self, kind: str, base: type[Settings] = Settings, retired: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.kind, self.base, self.retired = kind, base, retired
        self.settings: Table[type[Settings]] = Table(kind)
        self._targets: dict[str, str | Callable[..., Any]] = {}
        REGISTRIES[kind] = self
        self._adapter: tuple[tuple[type[Settings], ...], TypeAdapter[Any]] | None = None

    def register(self, target: str | Callable[..., Any]) -> Callable[[S], S]:
        """Returns a decorator that registers a settings class.

        Args:
            target: The implementation: ``"package.module:name"``, ``":name"`` in the module of the settings class, or
                the class or function itself.
        """

        def add(settings: S) -> S:
            if not (isinstance(settings, type) and issubclass(settings, self.base)):
                raise RegistrationError(
                    f"{self.kind} {settings!r:.80}: settings are a subclass of {self.base.__name__}"
                )
            fields: dict[str, FieldInfo] = settings.model_fields  # type: ignore[call-overload]
            name = fields["type"].default if "type" in fields else None
            if not isinstance(name, str) or get_args(fields["type"].annotation) != (name,):
                field = 'type: Literal["name"] = "name"'
                raise RegistrationError(f"{self.kind} {settings.__name__}: its settings need a field {field}")
            if not callable(target) and not re.fullmatch(r"[\w.]*:\w+", target):
                raise RegistrationError(
                    f"{self.kind} '{name}': {target!r:.80} is not of the form 'package.module:name'"
                )
            self.settings.add(name, settings, settings.__module__)
            self._targets[name] = target
            return settings

        return add

    def names(self) -> list[str]:
        """Returns the registered names in the order of registration."""
        return list(self.settings)

    def describe(self) -> dict[str, str]:
        """Returns the first docstring line of each settings class, by name."""
        docs = {name: (settings.__doc__ or "").strip() for name, settings in self.settings.items()}
        return {name: doc.splitlines()[0] if doc else "" for name, doc in docs.items()}

    def union(self) -> Any:
        """Returns the discriminated union of all settings classes that are registered now."""
        members = tuple(self.settings.values())
        return Annotated[Union[members], Field(discriminator="type")] if len(members) > 1 else members[0]  # noqa: UP007

    def validate(self, value: Any, context: Any = None) -> Settings:
        """Validates a section with the settings class that its ``type`` names.

        Args:
            value: The section of a config, or settings.
            context: See ``UNLOADED``.

        Raises:
            ValidationError: The section is not valid.
            ValueError: The ``type`` is a name from an earlier version.
        """
        if isinstance(value, Mapping) and isinstance(type_name := value.get("type"), str):
            if (name := self.settings.find(type_name)) is not None:
                value = {**value, "type": name}
            elif type_name in self.retired:
                raise ValueError(self.retired[type_name])
            elif (self.kind, type_name) in (context or {}).get(UNLOADED, {}):
                return _placeholder(self.base).model_validate(value)
        members = tuple(self.settings.values())
        if self._adapter is None or self._adapter[0] != members:
            self._adapter = members, TypeAdapter(self.union())
        settings: Settings = self._adapter[1].validate_python(value, context=context)
        return settings

    def target(self, settings: Settings) -> Any:
        """Imports and returns the implementation of a component.

        Raises:
            PluginError: Its plugin is not loaded, or has no such implementation.
        """
        name: str = settings.type  # type: ignore[attr-defined]
        if name not in self._targets or name not in self.settings:
            raise PluginError(f"{self.kind} '{name}' comes from a plugin that is not loaded: pass --plugin")
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
        """Checks that the implementation exists, if it is in the module of its settings class, which is imported.

        Raises:
            PluginError: It does not exist, or cannot be called.
        """
        target = self._targets[name]
        module, attribute = ("", "") if callable(target) else target.split(":")
        if attribute and module in ("", self.settings.modules[name]):
            implementation = getattr(sys.modules.get(self.settings.modules[name]), attribute, None)
            if not callable(implementation):
                raise PluginError(f"{self.kind} '{name}': its file has no class or function '{attribute}'")

    def build(self, settings: Settings, *args: Any, **kwargs: Any) -> Any:
        """Imports the implementation and calls it with the settings as its first argument.

        Raises:
            PluginError: The implementation of an external component raised an error.
        """
        target = self.target(settings)
        if not self.settings.is_external(name := settings.type):  # type: ignore[attr-defined]
            return target(settings, *args, **kwargs)
        with plugin_errors(self.kind, name):
            return target(settings, *args, **kwargs)


class OneOf:
    """Annotation of a config section whose ``type`` names a component of a registry.

    Components are looked up when a config is read, so the order of imports does not matter.

    Args:
        registry: The registry.
        optional: The section may be ``null``.
    """

    def __init__(self, registry: Registry, optional: bool = False) -> None:
        self.registry, self.optional = registry, optional

    @property
    def members(self) -> list[type[Settings]]:
        """The settings classes that the section may hold."""
        return list(self.registry.settings.values())

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Settings | None:
            if value is None and self.optional:
                return None
            return self.registry.validate(value, info.context)

        return core_schema.with_info_plain_validator_function(validate)


def _placeholder(base: type[Settings]) -> type[Settings]:
    """Returns settings that keep all keys of a section, for components from plugins that are not loaded."""

    class Placeholder(base, extra="allow"):  # type: ignore[valid-type,misc,call-arg]
        """Settings of a component from a plugin that is not loaded."""

    return Placeholder
