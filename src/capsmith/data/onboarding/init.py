"""From a folder that nobody has looked at to a config, and what people should know about what is in it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capsmith.core.errors import DataError, escaped
from capsmith.data.folder import FolderConfig
from capsmith.data.onboarding.config_template import allowed_broken, config_text, suggested_split, suggested_text
from capsmith.data.onboarding.layout import Guess, guess_dataset
from capsmith.data.onboarding.statistics import Survey, survey
from capsmith.data.record_builder import ABSENT
from capsmith.data.records import Corpus, DatasetConfig, read_dataset
from capsmith.data.text.language import writing_of

_SHOWN = 3
_SUBSET = 0.1  # share of captioned images that are not there from which on it is no accident
_LEAK = "the same image in several splits: what is tested was trained on"


def begin(folder: Path, captions: Path | None, out: Path) -> tuple[Guess, Survey, str]:
    """Looks at a folder and writes a config for it.

    Args:
        folder: Holds the images.
        captions: The captions; None looks for them.
        out: Where the config will be.

    Returns:
        How the data set is laid out, what is in it, and the config's YAML.

    Raises:
        DataError: What is there cannot be read as images with captions, or is not enough to train on.
    """
    if str(folder).startswith("~"):
        folder = folder.absolute()  # a folder of that name, which a config would take for somebody's home
    guess = guess_dataset(folder, captions)
    data = guess.config.model_copy(update={"max_problems": 1.0})  # all problems are to be told
    corpus = read_dataset(data)
    if _absent(corpus) > _SUBSET * (len(corpus.records) + _absent(corpus)):
        data = data.model_copy(update={"subset": True})
        corpus = read_dataset(data)
    if not guess.split_given:
        data = data.model_copy(update={"split": suggested_split(len(corpus.records))})
        corpus = read_dataset(data)
    found = survey(corpus, suggested_text(writing_of(c for record in corpus.records for c in record.captions)))
    if not guess.split_given and found.looked.same:
        split = suggested_split(len(corpus.records)).model_copy(
            update={"together": tuple(map(tuple, found.looked.same))}
        )
        grouped = data.model_copy(update={"split": split})
        after = replace(survey(read_dataset(grouped), found.text, images=False), looked=found.looked)
        if all(after.readable[name] for name in ("train", "dev", "test") if found.readable[name]):
            data, found = grouped, after  # else most images are alike, and are told to leak
    _require_enough(found, data)
    data = data.model_copy(update={"max_problems": _tolerated(corpus, found, data)})
    return replace(guess, config=data), found, config_text(data, found, escaped(str(out)), guess.split_given)


def _absent(corpus: Corpus) -> int:
    """Returns how many images have captions and are not there."""
    return sum(len(corpus.problems.found.get(kind, ())) for kind in ("missing image", "stray id"))


def _usual(data: DatasetConfig) -> float:
    """Returns the share of problems that reading allows by itself."""
    usual: float = type(data).model_fields["max_problems"].default
    return usual


def _require_enough(found: Survey, data: DatasetConfig) -> None:
    """Raises DataError where no training could begin."""
    counts = found.readable
    missing = [name for name in ("train", "dev") if not counts[name]]
    if not missing:
        return
    source = data.root / getattr(data, "captions", "")
    reason = next(iter(found.looked.broken.values()), "")
    if not sum(counts.values()) and reason:
        raise DataError(f"{source}: none of the {len(found.looked.broken)} images can be read ({reason})")
    raise DataError(
        f"{source}: no image that can be read is in {' or '.join(missing)} ("
        + ", ".join(f"{name} {count}" for name, count in counts.items())
        + "): training needs images to learn from (train) and to choose by (dev); three in all are the least"
    )


def _tolerated(corpus: Corpus, found: Survey, data: DatasetConfig) -> float:
    """Returns the default, or as many problems as there are: they were told, and the config is to train."""
    problems = sum(len(examples) for kind, examples in corpus.problems.found.items() if kind != ABSENT)
    problems += len(found.looked.broken)
    share = problems / max(len(corpus.records) + problems, 1)
    return _usual(data) if share <= _usual(data) else min(1.0, round(share * 1.1 + 0.005, 2))


def told(found: Survey, guess: Guess | None = None) -> Iterator[str]:
    """Yields lines for people: what was found, and what they may want to look at; 16 characters say what a line is."""
    yield from (escaped(line) for line in _told(found, guess))


def _told(found: Survey, guess: Guess | None) -> Iterator[str]:
    records, each, looked = found.corpus.records, found.each, found.looked
    if guess is not None:
        yield from _layout(guess)
    several = f"{each[0]} to {each[2]} captions each, {each[1]:g} in the middle"
    alike = "one caption each" if each[2] == 1 else f"{each[2]} captions each"
    yield f"images        {len(records):,}, {alike if each[0] == each[2] else several}"
    yield f"captions        {found.captions:,}: {found.writing}"
    unit = "characters" if found.text.mode == "char" else "words"
    yield f"length          {found.length(0.01)} to {max(found.lengths)} {unit}, {found.length(0.5)} in the middle"
    yield f"different       {len(found.words):,} {unit} in the captions to train on"
    yield "splits          " + ", ".join(f"{name} {count:,}" for name, count in found.sizes.items())
    for kind, examples in found.corpus.problems.found.items():
        yield f"left out        {len(examples):,} × {kind} ({_some(examples)})"
    for kind, examples in found.corpus.repaired.found.items():
        yield f"read anyway     {len(examples):,} × {kind} ({_some(examples)})"
    if looked.broken:
        reasons = _some(list(looked.broken.values()))
        yield f"left out        {len(looked.broken):,} × image that cannot be read ({reasons})"
    if guess is not None:
        yield from _relaxed(found, guess.config)
    if not found.sizes["test"]:
        yield "look at this    no image is in test: dev will be scored in its place"
    if found.repeated:
        example = max(found.repeated, key=lambda caption: found.repeated[caption])
        said = f"the same caption at several images; “{example[:50]}” at {found.repeated[example]}"
        yield f"look at this    {len(found.repeated):,} × {said}"
    split = None if guess is None or guess.split_given else getattr(guess.config, "split", None)
    kept = ", kept in one split" if split is not None and split.together else ""
    for groups, kind in ((looked.same, f"images that show the same{kept}"), (found.leaks, _LEAK)):
        if groups:
            yield f"look at this    {len(groups):,} × {kind} ({_some([_group(group) for group in groups])})"


def _relaxed(found: Survey, data: DatasetConfig) -> Iterator[str]:
    """Yields what the config allows that reading does not allow by itself."""
    if data.subset:
        yield "relaxed         data.subset: true, as only some of the captioned images are there"
    if data.max_problems > _usual(data):
        yield (
            f"relaxed         data.max_problems: {data.max_problems:g} instead of {_usual(data):g}, for what is "
            "left out: correct it, and lower the limit"
        )
    if (allowed := allowed_broken(found)) is not None:
        yield f"relaxed         features.max_bad_fraction: {allowed:g}, for the images that cannot be read"


def _layout(guess: Guess) -> Iterator[str]:
    data = guess.config
    yield f"read as         {data.type}: {getattr(data, 'captions', '')} in {data.root}"
    if isinstance(data, FolderConfig) and (data.root / data.captions).is_dir():
        yield f"captions in     text files called like the images (below {data.images}), a caption a line"
    elif isinstance(data, FolderConfig):
        captions = data.caption_column if isinstance(data.caption_column, str) else ", ".join(data.caption_column)
        columns = f"image: {data.image_column} (below {data.images}), caption: {captions}"
        if data.caption_separator:
            columns += f" (several, separated by '{data.caption_separator}')"
        if not data.header:
            yield f"no header line  fields are separated by {data.delimiter or 'commas'}, and columns are numbered"
        split = f", split: {data.split_column or 'split'}" if guess.split_given else ""
        yield f"columns         {columns}{split}"
    if guess.unused:
        yield f"not read        the columns {_some(list(guess.unused))}"
    if guess.others:
        yield f"not read        {_some(list(guess.others))}: say --captions FILE to take another"


def _group(ids: list[str]) -> str:
    return " = ".join(ids[:_SHOWN]) + (" = …" if len(ids) > _SHOWN else "")


def _some(examples: list[str]) -> str:
    return ", ".join(examples[:_SHOWN]) + (", …" if len(examples) > _SHOWN else "")
