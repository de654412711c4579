"""Tables of the components that a config can name, by kind: decoders, datasets, encoders, searches and metrics.

Each package defines its own table. Plugins add rows to it.
"""

import re
from typing import Any, TypeVar

from capsmith.core.spelling import folded

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class RegistrationError(ValueError):
    """A component cannot be registered because its name or form is invalid."""


class Table(dict[str, T]):
    """The components of one kind, by name.

    Creating a table also enters it in ``TABLES``.

    Args:
        kind: The name of the kind, used in messages, such as ``"decoder"``.

    Attributes:
        modules: The module that registered each name.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.modules: dict[str, str] = {}
        TABLES[kind] = self

    def add(self, name: str, value: T, module: str) -> None:
        """Adds a component.

        Raises:
            RegistrationError: The name is invalid, is taken, or differs from a taken name only in case, dashes and
                underscores.
        """
        if not _NAME.fullmatch(name):
            raise RegistrationError(f"{self.kind} {name!r:.80}: a name is a letter, then letters, digits, - _ or .")
        if name in self:
            raise RegistrationError(f"{self.kind} '{name}' is registered twice: choose another name")
        if (taken := self.find(name)) is not None:
            raise RegistrationError(f"{self.kind} '{name}' is too similar to '{taken}': choose another name")
        self[name] = value
        self.modules[name] = module

    def remove(self, name: str) -> None:
        """Removes a component."""
        del self[name], self.modules[name]

    def find(self, word: str) -> str | None:
        """Returns the name that matches a word, ignoring case, dashes and underscores; None if there is none."""
        if word in self:
            return word
        alike = folded(word)
        return next((name for name in self if folded(name) == alike), None) if alike else None

    def is_external(self, name: str) -> bool:
        """Returns whether code outside capsmith registered a name."""
        return self.modules.get(name, "capsmith").split(".")[0] != "capsmith"


TABLES: dict[str, Table[Any]] = {}
"""Every table by its kind. A table appears when the module that defines it is imported."""
