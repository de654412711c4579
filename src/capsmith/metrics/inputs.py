"""Checks of the input of scoring. Each error is one line."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from capsmith.core.errors import DataError


def check_ids(hypotheses: Mapping[Any, Any], ids: Sequence[Any]) -> None:
    """Checks that captions and references have the same image ids.

    Raises:
        DataError: The ids differ; the message counts and names those that do not match.
    """
    if not isinstance(hypotheses, Mapping):
        raise DataError(f"captions must be a mapping from image ids to texts, not {type(hypotheses).__name__}")
    known = set(ids)
    extra = [key for key in hypotheses if key not in known]
    absent = [key for key in ids if key not in hypotheses]
    parts = []
    if extra:
        parts.append(f"{count(extra, 'caption')} without references ({named(extra)})")
    if absent:
        parts.append(f"{count(absent, 'image')} with references but without a caption ({named(absent)})")
    if parts:
        hint = "; --subset scores only the images with a caption" if hypotheses and not extra else ""
        if {str(key) for key in extra} & {str(key) for key in absent}:
            hint = "; some ids are numbers on one side and text on the other"
        raise DataError(f"captions and references do not match: {' and '.join(parts)}{hint}")


def check_references(references: Mapping[Any, Any]) -> None:
    """Checks that each image has a list of references.

    Raises:
        DataError: There are no images, or an image has no list or an empty list.
    """
    if not isinstance(references, Mapping):
        raise DataError(
            f"references must be a mapping from image ids to lists of texts, not {type(references).__name__}"
        )
    if not references:
        raise DataError("there are no references: nothing to score against")
    not_lists = [key for key, group in references.items() if not is_list(group)]
    if not_lists:
        kind = type(references[not_lists[0]]).__name__
        raise DataError(f"{count(not_lists, 'image')} whose references are not a list but {kind}: {named(not_lists)}")
    empty = [key for key, group in references.items() if len(group) == 0]
    if empty:
        raise DataError(f"{count(empty, 'image')} without references: {named(empty)}")


def check_caption(caption: Any, key: Any) -> str:
    """Returns a caption, which must be text.

    Raises:
        DataError: It is not text, for example the NaN of an empty table cell.
    """
    if isinstance(caption, str):
        return caption
    if caption is None or (isinstance(caption, float) and math.isnan(caption)):
        raise DataError(f"image {key}: the caption is missing ({caption})")
    raise DataError(f"image {key}: a caption must be text, not {type(caption).__name__} ({caption!r:.60})")


def single_caption(caption: Any, key: Any) -> Any:
    """Unwraps a list that contains one caption, as in the results of coco-caption.

    Raises:
        DataError: The list is empty or has several captions.
    """
    if not is_list(caption):
        return caption
    if len(caption) != 1:
        raise DataError(f"image {key} has {len(caption)} captions to score: pass exactly one")
    return caption[0]


def is_list(value: Any) -> bool:
    """Returns whether a value is a sequence other than text."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def named(keys: Sequence[Hashable]) -> str:
    """Returns up to three ids for a message."""
    return ", ".join(str(key) for key in keys[:3]) + (", …" if len(keys) > 3 else "")


def count(items: Sequence[Any], noun: str) -> str:
    """Returns ``1 caption``, ``2 captions`` and so on."""
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
