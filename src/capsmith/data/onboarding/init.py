"""`capsmith init`: creates a training config for a folder of images and captions."""

from dataclasses import replace
from pathlib import Path

from capsmith.core.errors import DataError, escaped
from capsmith.data.onboarding.config_template import config_text, suggested_split, suggested_text
from capsmith.data.onboarding.layout import DatasetLayout, detect_layout
from capsmith.data.onboarding.statistics import DatasetStatistics, compute_statistics
from capsmith.data.record_builder import SKIPPED
from capsmith.data.records import SPLITS, Corpus, DatasetConfig, read_dataset
from capsmith.data.text.language import detect_writing

_SUBSET = 0.1  # share of missing images beyond which a dataset counts as a subset


def init_config(folder: Path, captions: Path | None, out: Path) -> tuple[DatasetLayout, DatasetStatistics, str]:
    """Inspects a folder and returns a config for it.

    Args:
        folder: Holds the images.
        captions: The captions; None searches the folder.
        out: The path of the config, for the commands in its header comment.

    Returns:
        The layout of the dataset, its statistics, and the YAML of the config.

    Raises:
        DataError: The folder has no images with captions, or too few to train on.
    """
    if str(folder).startswith("~"):
        folder = folder.absolute()  # a folder with that name, which a config would expand to a home directory
    layout = detect_layout(folder, captions)
    data = layout.config.model_copy(update={"max_bad_fraction": 1.0})  # to report all problems
    corpus = read_dataset(data)
    if _missing(corpus) > _SUBSET * (len(corpus.records) + _missing(corpus)):
        data = data.model_copy(update={"subset": True})
        corpus = read_dataset(data)
    if not layout.has_splits:
        data = data.model_copy(update={"split": suggested_split(len(corpus.records))})
        corpus = read_dataset(data)
    writing = detect_writing(caption for record in corpus.records for caption in record.captions)
    stats = compute_statistics(corpus, suggested_text(writing))
    if not layout.has_splits and stats.images.duplicates:
        data, stats = _with_groups(data, stats)
    _require_enough(stats, data)
    data = data.model_copy(update={"max_bad_fraction": _accepted(corpus, stats, data)})
    return replace(layout, config=data), stats, config_text(data, stats, escaped(str(out)), layout.has_splits)


def default_max_bad_fraction(data: DatasetConfig) -> float:
    """Returns the default of ``max_bad_fraction``."""
    value: float = type(data).model_fields["max_bad_fraction"].default
    return value


def _with_groups(data: DatasetConfig, stats: DatasetStatistics) -> tuple[DatasetConfig, DatasetStatistics]:
    """Keeps near-duplicates in one split, unless that would empty a split: then they are reported as leaks."""
    groups = tuple(map(tuple, stats.images.duplicates))
    split = suggested_split(len(stats.corpus.records)).model_copy(update={"groups": groups})
    grouped = data.model_copy(update={"split": split})
    after = replace(compute_statistics(read_dataset(grouped), stats.text, images=False), images=stats.images)
    if all(after.readable[name] for name in SPLITS if stats.readable[name]):
        return grouped, after
    return data, stats


def _missing(corpus: Corpus) -> int:
    """Returns how many captioned images do not exist."""
    return sum(len(corpus.problems.by_kind.get(kind, ())) for kind in ("missing image", "stray id"))


def _require_enough(stats: DatasetStatistics, data: DatasetConfig) -> None:
    """Raises DataError if train or dev has no readable image."""
    counts = stats.readable
    empty = [name for name in ("train", "dev") if not counts[name]]
    if not empty:
        return
    source = data.root / getattr(data, "captions", "")
    reason = next(iter(stats.images.unreadable.values()), "")
    if not sum(counts.values()) and reason:
        raise DataError(f"{source}: none of the {len(stats.images.unreadable)} images can be read ({reason})")
    raise DataError(
        f"{source}: no readable image in {' or '.join(empty)} ("
        + ", ".join(f"{name} {count}" for name, count in counts.items())
        + "): training needs images to learn from (train) and to choose the checkpoint by (dev): add images"
    )


def _accepted(corpus: Corpus, stats: DatasetStatistics, data: DatasetConfig) -> float:
    """Returns a ``max_bad_fraction`` that tolerates the problems of a dataset, which are reported instead."""
    problems = sum(len(examples) for kind, examples in corpus.problems.by_kind.items() if kind != SKIPPED)
    problems += len(stats.images.unreadable)
    fraction = problems / max(len(corpus.records) + problems, 1)
    default = default_max_bad_fraction(data)
    return default if fraction <= default else min(1.0, round(fraction * 1.1 + 0.005, 2))
