"""Summary lines about a dataset for `capsmith init` and `capsmith inspect`."""

from collections.abc import Iterator

from capsmith.core.errors import escaped
from capsmith.data.folder import FolderConfig
from capsmith.data.onboarding.config_template import suggested_bad_fraction
from capsmith.data.onboarding.init import default_max_bad_fraction
from capsmith.data.onboarding.layout import DatasetLayout
from capsmith.data.onboarding.statistics import DatasetStatistics
from capsmith.data.records import DatasetConfig
from capsmith.data.shards.config import ShardsConfig
from capsmith.data.shards.parquet import ParquetConfig

_EXAMPLES = 3
_LEAK = "near-duplicate images in different splits: the model would be tested on training images"


def describe(stats: DatasetStatistics, layout: DatasetLayout | None = None) -> Iterator[str]:
    """Yields lines about a dataset: its layout, its size, its problems. The first 16 characters name the topic.

    Args:
        stats: The statistics.
        layout: The detected layout; None leaves out the lines about it.
    """
    yield from (escaped(line) for line in _lines(stats, layout))


def _lines(stats: DatasetStatistics, layout: DatasetLayout | None) -> Iterator[str]:
    if layout is not None:
        yield from _layout(layout)
    yield from _sizes(stats)
    for kind, examples in stats.corpus.problems.by_kind.items():
        yield f"skipped         {len(examples):,} × {kind} ({_examples(examples)})"
    for kind, examples in stats.corpus.repaired.by_kind.items():
        yield f"read anyway     {len(examples):,} × {kind} ({_examples(examples)})"
    if unreadable := stats.images.unreadable:
        reasons = _examples(list(unreadable.values()))
        yield f"skipped         {len(unreadable):,} × image that cannot be read ({reasons})"
    if layout is not None:
        yield from _relaxed_limits(stats, layout.config)
    yield from _warnings(stats, layout)


def _sizes(stats: DatasetStatistics) -> Iterator[str]:
    least, median, most = stats.captions_per_image
    unit = "characters" if stats.text.mode == "char" else "words"
    if least == most:
        captions = "one caption each" if most == 1 else f"{most} captions each"
    else:
        captions = f"{least} to {most} captions each, median {median:g}"
    yield f"images          {len(stats.corpus.records):,}, {captions}"
    yield f"captions        {stats.captions:,}: {stats.writing}"
    shortest, middle = stats.length_quantile(0.01), stats.length_quantile(0.5)
    yield f"length          {shortest} to {max(stats.lengths)} {unit}, median {middle}"
    yield f"vocabulary      {len(stats.word_counts):,} {unit} in the training captions"
    yield "splits          " + ", ".join(f"{name} {count:,}" for name, count in stats.sizes.items())


def _warnings(stats: DatasetStatistics, layout: DatasetLayout | None) -> Iterator[str]:
    if not stats.sizes["test"]:
        yield "check this      no test images: dev will be scored instead"
    if repeated := stats.repeated_captions:
        example = max(repeated, key=lambda caption: repeated[caption])
        kind = f"the same caption for several images; “{example[:50]}” for {repeated[example]}"
        yield f"check this      {len(repeated):,} × {kind}"
    split = None if layout is None or layout.has_splits else getattr(layout.config, "split", None)
    grouped = ", kept in one split" if split is not None and split.groups else ""
    for groups, kind in ((stats.images.duplicates, f"near-duplicate images{grouped}"), (stats.leaks, _LEAK)):
        if groups:
            yield f"check this      {len(groups):,} × {kind} ({_examples([_group(group) for group in groups])})"


def _relaxed_limits(stats: DatasetStatistics, data: DatasetConfig) -> Iterator[str]:
    """Yields the limits that the config raises above their defaults."""
    if data.subset:
        yield "relaxed         data.subset: true, since only some of the captioned images exist"
    default = default_max_bad_fraction(data)
    if data.max_bad_fraction > default:
        yield (
            f"relaxed         data.max_bad_fraction: {data.max_bad_fraction:g} instead of {default:g}, for the skipped "
            "rows and images: correct them, and lower the limit"
        )
    if (allowed := suggested_bad_fraction(stats)) is not None:
        yield f"relaxed         features.max_bad_fraction: {allowed:g}, for the images that cannot be read"


def _layout(layout: DatasetLayout) -> Iterator[str]:
    data = layout.config
    files = ", ".join(_shards(data)) if isinstance(data, ShardsConfig) else getattr(data, "captions", "")
    yield f"read as         {data.type}: {files} in {data.root}"
    if isinstance(data, ParquetConfig):
        rows = f"id: {data.id_column}" if data.id_column else "an image in each row"
        yield f"columns         image: {data.image_column}, caption: {', '.join(data.caption_columns)}, {rows}"
    if isinstance(data, FolderConfig) and (data.root / data.captions).is_dir():
        yield f"captions in     text files named like the images (below {data.images}), one caption per line"
    elif isinstance(data, FolderConfig):
        captions = ", ".join(data.caption_columns)
        columns = f"image: {data.image_column} (below {data.images}), caption: {captions}"
        if data.caption_separator:
            columns += f" (several, separated by '{data.caption_separator}')"
        if not data.header:
            yield f"no header line  fields are separated by {data.delimiter or 'commas'}, and columns are numbered"
        split = f", split: {data.split_column or 'split'}" if layout.has_splits else ""
        yield f"columns         {columns}{split}"
    if layout.unused_columns:
        yield f"not read        the columns {_examples(list(layout.unused_columns))}"
    if layout.other_files:
        yield f"not read        {_examples(list(layout.other_files))}: choose another with --captions FILE"


def _shards(data: ShardsConfig) -> Iterator[str]:
    """Yields the patterns of the shards."""
    for value in (data.train, data.dev, data.test):
        if value is not None:
            yield from (value,) if isinstance(value, str) else value


def _group(ids: list[str]) -> str:
    return " = ".join(ids[:_EXAMPLES]) + (" = …" if len(ids) > _EXAMPLES else "")


def _examples(examples: list[str]) -> str:
    return ", ".join(examples[:_EXAMPLES]) + (", …" if len(examples) > _EXAMPLES else "")
