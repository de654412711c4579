"""Which search a call of a captioner asks for: by settings, by name, or by changes to the captioner's own search."""

from collections.abc import Collection, Mapping
from typing import Any

from capsmith.core.errors import ConfigError
from capsmith.core.spelling import nearest


def choose(
    requested: str | None,
    own: Mapping[str, Any],
    changes: Mapping[str, Any],
    kinds: Mapping[str, Collection[str]],
    retired: Mapping[str, str],
) -> tuple[str, dict[str, Any]]:
    """Returns the name of a search, and values of its fields that are not yet checked.

    Args:
        requested: The name of a search, which inherits the fields that it shares with ``own``; or None: ``own``, or if
            that lacks one of ``changes``, the first search that has all of them.
        own: The values of the captioner's search, ``type`` included.
        changes: New values, such as ``beam_size``.
        kinds: The fields of each search, by its name.
        retired: Names of earlier versions, each with a sentence that states the replacement.

    Raises:
        ConfigError: There is no search of this name.
    """
    kind = own["type"]
    if requested is None:
        able = [name for name, fields in kinds.items() if changes.keys() <= set(fields)]
        kind = kind if kind in able or not able else able[0]
    elif requested in retired:
        raise ConfigError(f"decoding: {retired[requested]}")
    elif requested not in kinds:
        known = ", ".join(kinds)
        raise ConfigError(f"decoding: {requested!r:.80} is not a search{nearest(requested, kinds)} (one of: {known})")
    else:
        kind = requested
    shared = {name: value for name, value in own.items() if name in kinds[kind] and name != "type"}
    return kind, {**shared, **changes}
