"""Names for components: a settings model on one side, the class that it configures on the other.

A settings class registers with the place of its implementation as a string, so that settings stay free of Keras::

    DECODERS = Registry("decoder")

    @DECODERS.register("capsmith.decoders.merge:Merge")
    class MergeConfig(DecoderConfig):
        type: Literal["merge"] = "merge"

    DECODERS.build(MergeConfig(), vocabulary_size=5000)      # imports capsmith.decoders.merge now
"""

import importlib
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union

from pydantic import Field
from pydantic.fields import FieldInfo

from capsmith.schema import Settings

S = TypeVar("S", bound=type[Settings])


class Registry:
    """All components of one kind, by the ``type`` that a config names.

    Args:
        kind: The word for messages, such as ``"decoder"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.settings: dict[str, type[Settings]] = {}
        self._targets: dict[str, str] = {}

    def register(self, target: str) -> Callable[[S], S]:
        """Returns a decorator that enters a settings class; ``target`` is ``"package.module:name"``."""

        def enter(settings: S) -> S:
            fields: dict[str, FieldInfo] = settings.model_fields  # type: ignore[call-overload]
            name = str(fields["type"].default)
            if name in self.settings:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self.settings[name] = settings
            self._targets[name] = target
            return settings

        return enter

    def names(self) -> list[str]:
        """Returns the registered names in order of registration."""
        return list(self.settings)

    def describe(self) -> dict[str, str]:
        """Returns the first line of each settings class's docstring by name."""
        return {name: (s.__doc__ or "").strip().splitlines()[0] for name, s in self.settings.items()}

    def union(self) -> Any:
        """Returns the discriminated union of all registered settings, for a field's annotation."""
        members = tuple(self.settings.values())
        return Annotated[Union[members], Field(discriminator="type")] if len(members) > 1 else members[0]  # noqa: UP007

    def target(self, settings: Settings) -> Any:
        """Imports and returns what the settings configure."""
        module, _, name = self._targets[settings.type].partition(":")  # type: ignore[attr-defined]
        return getattr(importlib.import_module(module), name)

    def build(self, settings: Settings, *args: Any, **kwargs: Any) -> Any:
        """Imports the implementation and calls it with the settings first."""
        return self.target(settings)(settings, *args, **kwargs)
