"""From a folder that nobody has looked at to a config, and what people should know about what is in it."""

from collections.abc import Iterator
from pathlib import Path

from capsmith.data.folder import FolderConfig
from capsmith.data.guess import guess_dataset
from capsmith.data.records import Corpus, DatasetConfig, read_dataset
from capsmith.errors import DataError
from capsmith.suggest import config_text, suggested_split, suggested_text
from capsmith.survey import Survey, survey
from capsmith.text.language import writing_of

_SHOWN = 3


def begin(folder: Path, captions: Path | None, out: Path) -> tuple[DatasetConfig, Survey, str]:
    """Looks at a folder and writes a config for it.

    Args:
        folder: Holds the pictures.
        captions: The captions; None looks for them.
        out: Where the config will be.

    Returns:
        How the data set is read, what is in it, and the config's YAML.

    Raises:
        DataError: What is there cannot be read as pictures with captions.
    """
    data = guess_dataset(folder, captions)
    data = data.model_copy(update={"max_problems": 1.0})  # all problems are to be told
    corpus = read_dataset(data)
    if isinstance(data, FolderConfig) and not any(record.split for record in corpus.records):
        raise DataError(
            f"{data.captions}: column '{data.split_column or 'split'}' puts no picture into train, dev or test"
        )
    if isinstance(data, FolderConfig):
        data = data.model_copy(update={"split": suggested_split(len(corpus.records))})
        corpus = read_dataset(data)
    text = suggested_text(writing_of(c for record in corpus.records for c in record.captions))
    found = survey(corpus, text)
    data = data.model_copy(update={"max_problems": _tolerated(corpus, found, data)})
    written = config_text(data, found, str(out))
    return data, found, written


def _tolerated(corpus: Corpus, found: Survey, data: DatasetConfig) -> float:
    """Returns the default, or as many problems as there are: they were told, and the config is to train."""
    problems = sum(len(examples) for examples in corpus.problems.found.values()) + len(found.looked.broken)
    usual: float = type(data).model_fields["max_problems"].default
    share = problems / max(len(corpus.records) + problems, 1)
    return usual if share <= usual else min(1.0, round(share * 1.1 + 0.005, 2))


def told(data: DatasetConfig | None, found: Survey) -> Iterator[str]:
    """Yields lines for people: what was found, and what they may want to look at; 16 characters say what a line is."""
    records, each = found.corpus.records, found.each
    looked = found.looked
    several = f"{each[0]} to {each[2]} captions each, {each[1]:g} in the middle"
    alike = "one caption each" if each[2] == 1 else f"{each[2]} captions each"
    captions = alike if each[0] == each[2] else several
    if data is not None:
        yield f"read as         {data.type}: {getattr(data, 'captions', '')} in {data.root}"
    yield f"pictures        {len(records):,}, {captions}"
    yield f"captions        {found.captions:,}: {found.writing}"
    unit = "characters" if found.text.mode == "char" else "words"
    yield f"length          {found.length(0.01)} to {max(found.lengths)} {unit}, {found.length(0.5)} in the middle"
    yield f"different       {len(found.words):,} {unit} in the captions to train on"
    yield "splits          " + ", ".join(f"{name} {count:,}" for name, count in found.sizes.items())
    for name in ("train", "dev", "test"):
        if not found.sizes[name]:
            yield f"look at this    no picture is in {name}"
    for kind, examples in found.corpus.problems.found.items():
        yield f"left out        {len(examples):,} × {kind} ({_some(examples)})"
    if looked.broken:
        reasons = _some(list(looked.broken.values()))
        yield f"left out        {len(looked.broken):,} × picture that cannot be read ({reasons})"
    if found.repeated:
        example = max(found.repeated, key=lambda caption: found.repeated[caption])
        yield (
            f"look at this    {len(found.repeated):,} × the same caption at several pictures; "
            f"“{example[:50]}” at {found.repeated[example]}"
        )
    if looked.same:
        pairs = [f"{one} = {two}" for one, two in looked.same]
        yield f"look at this    {len(pairs):,} × two pictures that show the same ({_some(pairs)})"
    if found.leaks:
        pairs = [f"{one} = {two}" for one, two in found.leaks]
        kind = "the same picture in two splits: what is tested was trained on"
        yield f"look at this    {len(pairs):,} × {kind} ({_some(pairs)})"


def _some(examples: list[str]) -> str:
    return ", ".join(examples[:_SHOWN]) + (", …" if len(examples) > _SHOWN else "")
